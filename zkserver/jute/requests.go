package jute

import "fmt"

// Op is the number of a kind of request or transaction.
type Op int32

// The kinds of requests and transactions.
const (
	OpError                Op = -1
	OpCreate               Op = 1
	OpDelete               Op = 2
	OpExists               Op = 3
	OpGetData              Op = 4
	OpSetData              Op = 5
	OpGetACL               Op = 6
	OpSetACL               Op = 7
	OpGetChildren          Op = 8
	OpSync                 Op = 9
	OpPing                 Op = 11
	OpGetChildren2         Op = 12
	OpCheck                Op = 13 // only in a multi
	OpMulti                Op = 14
	OpCreate2              Op = 15
	OpReconfig             Op = 16
	OpCheckWatches         Op = 17
	OpRemoveWatches        Op = 18
	OpCreateContainer      Op = 19
	OpDeleteContainer      Op = 20
	OpCreateTTL            Op = 21
	OpMultiRead            Op = 22
	OpAuth                 Op = 100
	OpSetWatches           Op = 101
	OpSASL                 Op = 102
	OpGetEphemerals        Op = 103
	OpGetAllChildrenNumber Op = 104
	OpSetWatches2          Op = 105
	OpAddWatch             Op = 106
	OpWhoAmI               Op = 107
	OpCreateSession        Op = -10
	OpCloseSession         Op = -11
)

// opNames are the names in lists of connections (the four-letter word cons).
var opNames = map[Op]string{OpCreate: "CREA", OpDelete: "DELE", OpExists: "EXIS", OpGetData: "GETD", OpSetData: "SETD", OpGetACL: "GETA",
	OpSetACL: "SETA", OpGetChildren: "GETC", OpSync: "SYNC", OpPing: "PING", OpGetChildren2: "GETC", OpMulti: "MULT", OpCreate2: "CREA",
	OpCheckWatches: "CHKW", OpRemoveWatches: "REMW", OpCreateContainer: "CREA", OpDeleteContainer: "DELE", OpCreateTTL: "CREA",
	OpMultiRead: "MLTR", OpSetWatches: "SETW", OpGetEphemerals: "GETE", OpGetAllChildrenNumber: "GETACN", OpSetWatches2: "STW2",
	OpAddWatch: "ADDW", OpWhoAmI: "HOMI", OpCreateSession: "SESS", OpCloseSession: "CLOS"}

// String returns the short name that ZooKeeper lists for the last operation of a connection.
func (o Op) String() string {
	if name := opNames[o]; name != "" {
		return name
	}
	return fmt.Sprintf("OP%d", int32(o))
}

func (c *Codec) op(v *Op) { c.Int((*int32)(v)) }

// Flags of a CreateRequest, which are numbers and not bits.
const (
	Persistent              int32 = 0
	Ephemeral               int32 = 1
	PersistentSequential    int32 = 2
	EphemeralSequential     int32 = 3
	Container               int32 = 4
	PersistentTTL           int32 = 5
	PersistentSequentialTTL int32 = 6
)

// Kinds of watches in a CheckWatchesRequest.
const (
	WatchesOfChildren int32 = 1
	WatchesOfData     int32 = 2
	WatchesOfAnyKind  int32 = 3
)

// Modes of an AddWatchRequest.
const (
	WatchPersistent          int32 = 0
	WatchPersistentRecursive int32 = 1
)

// ID is an identity of a client, or the one that an ACL entry is for.
type ID struct{ Scheme, ID string }

// Fields implements Record.
func (r *ID) Fields(c *Codec) { c.String(&r.Scheme); c.String(&r.ID) }

// ACL gives an identity permissions, which are bits.
type ACL struct {
	Perms int32
	ID    ID
}

// Fields implements Record.
func (r *ACL) Fields(c *Codec) { c.Int(&r.Perms); r.ID.Fields(c) }

// ACLs is a list of ACL entries.
type ACLs []ACL

// Fields implements Record.
func (r *ACLs) Fields(c *Codec) { c.acls((*[]ACL)(r)) }

func (c *Codec) acls(v *[]ACL) { Vector(c, v, 12, func(a *ACL) { a.Fields(c) }) }

// ConnectRequest is the first frame of a connection. Old clients do not send ReadOnly.
type ConnectRequest struct {
	ProtocolVersion int32
	LastZxidSeen    int64
	TimeOut         int32 // ms
	SessionID       int64 // 0: a new session
	Password        []byte
	ReadOnly        bool
	old             bool
}

// Fields implements Record.
func (r *ConnectRequest) Fields(c *Codec) {
	c.Int(&r.ProtocolVersion)
	c.Long(&r.LastZxidSeen)
	c.Int(&r.TimeOut)
	c.Long(&r.SessionID)
	c.Buffer(&r.Password)
	if r.old = c.ended(); !r.old {
		c.Bool(&r.ReadOnly)
	}
}

// Old reports whether the request did not contain ReadOnly; nor must the response then.
func (r *ConnectRequest) Old() bool { return r.old }

// RequestHeader precedes all further requests.
type RequestHeader struct {
	Xid  int32 // chosen by the client
	Type Op
}

// Fields implements Record.
func (r *RequestHeader) Fields(c *Codec) { c.Int(&r.Xid); c.op(&r.Type) }

// AuthPacket adds an identity to a connection.
type AuthPacket struct {
	Type   int32
	Scheme string
	Auth   []byte
}

// Fields implements Record.
func (r *AuthPacket) Fields(c *Codec) { c.Int(&r.Type); c.String(&r.Scheme); c.Buffer(&r.Auth) }

// CreateRequest creates a node: OpCreate, OpCreate2 and OpCreateContainer.
type CreateRequest struct {
	Path  string
	Data  []byte
	ACL   []ACL
	Flags int32
}

// Fields implements Record.
func (r *CreateRequest) Fields(c *Codec) {
	c.String(&r.Path)
	c.Buffer(&r.Data)
	c.acls(&r.ACL)
	c.Int(&r.Flags)
}

// CreateTTLRequest creates a node that expires: OpCreateTTL.
type CreateTTLRequest struct {
	CreateRequest
	TTL int64 // ms
}

// Fields implements Record.
func (r *CreateTTLRequest) Fields(c *Codec) { r.CreateRequest.Fields(c); c.Long(&r.TTL) }

// PathVersionRequest names a node and its expected version: OpDelete and OpCheck.
type PathVersionRequest struct {
	Path    string
	Version int32
}

// Fields implements Record.
func (r *PathVersionRequest) Fields(c *Codec) { c.String(&r.Path); c.Int(&r.Version) }

// SetDataRequest sets the data of a node.
type SetDataRequest struct {
	Path    string
	Data    []byte
	Version int32
}

// Fields implements Record.
func (r *SetDataRequest) Fields(c *Codec) { c.String(&r.Path); c.Buffer(&r.Data); c.Int(&r.Version) }

// SetACLRequest sets the ACL of a node.
type SetACLRequest struct {
	Path    string
	ACL     []ACL
	Version int32
}

// Fields implements Record.
func (r *SetACLRequest) Fields(c *Codec) { c.String(&r.Path); c.acls(&r.ACL); c.Int(&r.Version) }

// PathRequest names a node: OpGetACL, OpSync, OpGetEphemerals and OpGetAllChildrenNumber. It is also
// the response to OpSync and OpCreate.
type PathRequest struct{ Path string }

// Fields implements Record.
func (r *PathRequest) Fields(c *Codec) { c.String(&r.Path) }

// PathWatchRequest reads a node and perhaps sets a watch: OpExists, OpGetData, OpGetChildren and
// OpGetChildren2.
type PathWatchRequest struct {
	Path  string
	Watch bool
}

// Fields implements Record.
func (r *PathWatchRequest) Fields(c *Codec) { c.String(&r.Path); c.Bool(&r.Watch) }

// PathNumberRequest names a node and a mode of a watch (OpAddWatch) or a kind of watches
// (OpCheckWatches, OpRemoveWatches).
type PathNumberRequest struct {
	Path   string
	Number int32
}

// Fields implements Record.
func (r *PathNumberRequest) Fields(c *Codec) { c.String(&r.Path); c.Int(&r.Number) }

// ReconfigRequest changes the members of an ensemble.
type ReconfigRequest struct {
	JoiningServers, LeavingServers, NewMembers string
	CurConfigID                                int64
}

// Fields implements Record.
func (r *ReconfigRequest) Fields(c *Codec) {
	c.String(&r.JoiningServers)
	c.String(&r.LeavingServers)
	c.String(&r.NewMembers)
	c.Long(&r.CurConfigID)
}

// SetWatches restores the watches of a client that has reconnected: OpSetWatches.
type SetWatches struct {
	RelativeZxid       int64 // the last change that the client has seen
	Data, Exist, Child []string
}

// Fields implements Record.
func (r *SetWatches) Fields(c *Codec) {
	c.Long(&r.RelativeZxid)
	c.Strings(&r.Data)
	c.Strings(&r.Exist)
	c.Strings(&r.Child)
}

// SetWatches2 also restores watches that stay after they fired: OpSetWatches2.
type SetWatches2 struct {
	SetWatches
	Persistent, PersistentRecursive []string
}

// Fields implements Record.
func (r *SetWatches2) Fields(c *Codec) {
	r.SetWatches.Fields(c)
	c.Strings(&r.Persistent)
	c.Strings(&r.PersistentRecursive)
}
