package jute

// Stat is the metadata of a node. Times are in milliseconds. A zxid is the number of a change of the
// tree.
type Stat struct {
	Czxid, Mzxid                int64
	Ctime, Mtime                int64
	Version, Cversion, Aversion int32
	EphemeralOwner              int64 // the session's id, or 0 for a persistent node
	DataLength, NumChildren     int32
	Pzxid                       int64
}

// Fields implements Record.
func (r *Stat) Fields(c *Codec) {
	c.Long(&r.Czxid)
	c.Long(&r.Mzxid)
	c.Long(&r.Ctime)
	c.Long(&r.Mtime)
	c.Int(&r.Version)
	c.Int(&r.Cversion)
	c.Int(&r.Aversion)
	c.Long(&r.EphemeralOwner)
	c.Int(&r.DataLength)
	c.Int(&r.NumChildren)
	c.Long(&r.Pzxid)
}

// ConnectResponse answers a ConnectRequest. A SessionID of 0 means that the session has expired.
type ConnectResponse struct {
	ProtocolVersion int32
	TimeOut         int32 // ms
	SessionID       int64
	Password        []byte
	Old             bool // the client expects no ReadOnly
	ReadOnly        bool
}

// Fields implements Record.
func (r *ConnectResponse) Fields(c *Codec) {
	c.Int(&r.ProtocolVersion)
	c.Int(&r.TimeOut)
	c.Long(&r.SessionID)
	c.Buffer(&r.Password)
	if !c.writing {
		r.Old = c.ended()
	}
	if !r.Old {
		c.Bool(&r.ReadOnly)
	}
}

// ReplyHeader precedes all further responses and events.
type ReplyHeader struct {
	Xid  int32 // of the request; EventXid for an event
	Zxid int64 // of the last change of the tree
	Err  int32
}

// Xids of what is not an ordinary request.
const (
	EventXid      int32 = -1
	PingXid       int32 = -2
	AuthXid       int32 = -4
	SetWatchesXid int32 = -8
)

// Fields implements Record.
func (r *ReplyHeader) Fields(c *Codec) { c.Int(&r.Xid); c.Long(&r.Zxid); c.Int(&r.Err) }

// WatcherEvent is the body of an event.
type WatcherEvent struct {
	Type  int32
	State int32 // 3: the session is connected
	Path  string
}

// Fields implements Record.
func (r *WatcherEvent) Fields(c *Codec) { c.Int(&r.Type); c.Int(&r.State); c.String(&r.Path) }

// Create2Response has the path and the metadata of a new node.
type Create2Response struct {
	Path string
	Stat Stat
}

// Fields implements Record.
func (r *Create2Response) Fields(c *Codec) { c.String(&r.Path); r.Stat.Fields(c) }

// GetDataResponse has the data and the metadata of a node.
type GetDataResponse struct {
	Data []byte
	Stat Stat
}

// Fields implements Record.
func (r *GetDataResponse) Fields(c *Codec) { c.Buffer(&r.Data); r.Stat.Fields(c) }

// PathsResponse is a list of names or paths: OpGetChildren and OpGetEphemerals.
type PathsResponse struct{ Paths []string }

// Fields implements Record.
func (r *PathsResponse) Fields(c *Codec) { c.Strings(&r.Paths) }

// GetChildren2Response has the names of the children and the metadata of a node.
type GetChildren2Response struct {
	Children []string
	Stat     Stat
}

// Fields implements Record.
func (r *GetChildren2Response) Fields(c *Codec) { c.Strings(&r.Children); r.Stat.Fields(c) }

// GetACLResponse has the ACL and the metadata of a node.
type GetACLResponse struct {
	ACL  []ACL
	Stat Stat
}

// Fields implements Record.
func (r *GetACLResponse) Fields(c *Codec) { c.acls(&r.ACL); r.Stat.Fields(c) }

// NumberResponse is a number: OpGetAllChildrenNumber, and the error code of OpAddWatch and of a
// failed operation of a multi.
type NumberResponse struct{ Number int32 }

// Fields implements Record.
func (r *NumberResponse) Fields(c *Codec) { c.Int(&r.Number) }

// WhoAmIResponse lists the identities of a connection: scheme and user name.
type WhoAmIResponse struct{ ClientInfo []ID }

// Fields implements Record.
func (r *WhoAmIResponse) Fields(c *Codec) {
	Vector(c, &r.ClientInfo, 8, func(id *ID) { id.Fields(c) })
}
