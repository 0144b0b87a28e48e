package jute

// FileHeader begins a transaction log or a snapshot.
type FileHeader struct {
	Magic   int32
	Version int32
	DbID    int64
}

// Fields implements Record.
func (r *FileHeader) Fields(c *Codec) { c.Int(&r.Magic); c.Int(&r.Version); c.Long(&r.DbID) }

// StatPersisted is the metadata of a node in a snapshot. Its Cversion counts the children ever
// created.
type StatPersisted struct {
	Czxid, Mzxid                int64
	Ctime, Mtime                int64 // ms
	Version, Cversion, Aversion int32
	EphemeralOwner              int64
	Pzxid                       int64
}

// Fields implements Record.
func (r *StatPersisted) Fields(c *Codec) {
	c.Long(&r.Czxid)
	c.Long(&r.Mzxid)
	c.Long(&r.Ctime)
	c.Long(&r.Mtime)
	c.Int(&r.Version)
	c.Int(&r.Cversion)
	c.Int(&r.Aversion)
	c.Long(&r.EphemeralOwner)
	c.Long(&r.Pzxid)
}

// DataNode is a node in a snapshot. ACL is the number of a list of the snapshot; -1 is open to all.
type DataNode struct {
	Data []byte
	ACL  int64
	Stat StatPersisted
}

// Fields implements Record.
func (r *DataNode) Fields(c *Codec) { c.Buffer(&r.Data); c.Long(&r.ACL); r.Stat.Fields(c) }

// TxnHeader precedes a transaction in the log.
type TxnHeader struct {
	ClientID int64 // the session
	Cxid     int32 // the xid of the request
	Zxid     int64
	Time     int64 // ms
	Type     Op
}

// Fields implements Record.
func (r *TxnHeader) Fields(c *Codec) {
	c.Long(&r.ClientID)
	c.Int(&r.Cxid)
	c.Long(&r.Zxid)
	c.Long(&r.Time)
	c.op(&r.Type)
}

// CreateTxn creates a node: OpCreate and OpCreate2.
type CreateTxn struct {
	Path           string
	Data           []byte
	ACL            []ACL
	Ephemeral      bool
	ParentCVersion int32 // afterwards; -1: one more than before
}

// Fields implements Record. Old logs have no ParentCVersion.
func (r *CreateTxn) Fields(c *Codec) {
	c.String(&r.Path)
	c.Buffer(&r.Data)
	c.acls(&r.ACL)
	c.Bool(&r.Ephemeral)
	if c.ended() {
		r.ParentCVersion = -1
		return
	}
	c.Int(&r.ParentCVersion)
}

// CreateTTLTxn creates a node that expires.
type CreateTTLTxn struct {
	CreateContainerTxn
	TTL int64 // ms
}

// Fields implements Record.
func (r *CreateTTLTxn) Fields(c *Codec) { r.CreateContainerTxn.Fields(c); c.Long(&r.TTL) }

// CreateContainerTxn creates a node that is deleted once its children are.
type CreateContainerTxn struct {
	Path           string
	Data           []byte
	ACL            []ACL
	ParentCVersion int32
}

// Fields implements Record.
func (r *CreateContainerTxn) Fields(c *Codec) {
	c.String(&r.Path)
	c.Buffer(&r.Data)
	c.acls(&r.ACL)
	c.Int(&r.ParentCVersion)
}

// DeleteTxn deletes a node: OpDelete and OpDeleteContainer.
type DeleteTxn struct{ Path string }

// Fields implements Record.
func (r *DeleteTxn) Fields(c *Codec) { c.String(&r.Path) }

// SetDataTxn sets the data of a node. Version is the one afterwards.
type SetDataTxn struct {
	Path    string
	Data    []byte
	Version int32
}

// Fields implements Record.
func (r *SetDataTxn) Fields(c *Codec) { c.String(&r.Path); c.Buffer(&r.Data); c.Int(&r.Version) }

// CheckVersionTxn is a check in a multi, which changes nothing.
type CheckVersionTxn struct {
	Path    string
	Version int32
}

// Fields implements Record.
func (r *CheckVersionTxn) Fields(c *Codec) { c.String(&r.Path); c.Int(&r.Version) }

// SetACLTxn sets the ACL of a node. Version is the one afterwards.
type SetACLTxn struct {
	Path    string
	ACL     []ACL
	Version int32
}

// Fields implements Record.
func (r *SetACLTxn) Fields(c *Codec) { c.String(&r.Path); c.acls(&r.ACL); c.Int(&r.Version) }

// CreateSessionTxn opens a session.
type CreateSessionTxn struct{ TimeOut int32 } // ms

// Fields implements Record.
func (r *CreateSessionTxn) Fields(c *Codec) { c.Int(&r.TimeOut) }

// CloseSessionTxn ends a session and deletes its ephemeral nodes.
type CloseSessionTxn struct{ Paths []string }

// Fields implements Record. Old logs have no Paths.
func (r *CloseSessionTxn) Fields(c *Codec) {
	if !c.ended() {
		c.Strings(&r.Paths)
	}
}

// ErrorTxn is a request that failed, which takes a zxid too.
type ErrorTxn struct{ Err int32 }

// Fields implements Record.
func (r *ErrorTxn) Fields(c *Codec) { c.Int(&r.Err) }

// MultiTxn has the transactions of a multi. If one of them is an OpError, none has an effect.
type MultiTxn struct{ Txns []Txn }

// Txn is one transaction of a multi.
type Txn struct {
	Type Op
	Body Record
}

// Fields implements Record.
func (r *MultiTxn) Fields(c *Codec) {
	Vector(c, &r.Txns, 8, func(t *Txn) {
		c.op(&t.Type)
		var body []byte
		if c.writing {
			body = Append([]byte{}, t.Body)
		}
		c.Buffer(&body)
		if c.writing || c.err != nil {
			return
		}
		if t.Body = transaction(t.Type); t.Body == nil || t.Type == OpMulti {
			c.fail("transaction of type %d in a multi", t.Type)
		} else if _, err := Decode(body, t.Body); err != nil {
			c.err = err
		}
	})
}

// transaction returns an empty transaction, or nil.
func transaction(op Op) Record {
	switch op {
	case OpCreate, OpCreate2:
		return &CreateTxn{}
	case OpCreateTTL:
		return &CreateTTLTxn{}
	case OpCreateContainer:
		return &CreateContainerTxn{}
	case OpDelete, OpDeleteContainer:
		return &DeleteTxn{}
	case OpSetData, OpReconfig:
		return &SetDataTxn{}
	case OpSetACL:
		return &SetACLTxn{}
	case OpCheck:
		return &CheckVersionTxn{}
	case OpCreateSession:
		return &CreateSessionTxn{}
	case OpCloseSession:
		return &CloseSessionTxn{}
	case OpError:
		return &ErrorTxn{}
	case OpMulti:
		return &MultiTxn{}
	}
	return nil
}

// DecodeTxn reads a transaction of a log. It ignores what follows it: Apache ZooKeeper's digest of
// the tree. The error wraps ErrMalformed.
func DecodeTxn(buf []byte) (TxnHeader, Record, error) {
	var header TxnHeader
	rest, err := Decode(buf, &header)
	if err != nil {
		return header, nil, err
	}
	body := transaction(header.Type)
	if body == nil {
		c := Codec{}
		c.fail("transaction of type %d", header.Type)
		return header, nil, c.err
	}
	_, err = Decode(rest, body)
	return header, body, err
}
