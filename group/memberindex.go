package group

// index finds members by id and counts the members that offer a protocol. Only groups of many
// members or protocols have one.
type index struct {
	byID      map[string]*Member
	supported map[string]int // by the name of the protocol
}

// get returns the member with the id, or nil if there is none.
func (ms *members) get(id string) *Member {
	if ms.index != nil {
		return ms.index.byID[id]
	}
	for _, m := range ms.all() {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// supporters returns how many members offer the protocol.
func (ms *members) supporters(protocol string) int {
	if ms.index != nil {
		return ms.index.supported[protocol]
	}
	n := 0
	for _, m := range ms.all() {
		for i := range m.protocols {
			if m.protocols[i].Name == protocol {
				n++
			}
		}
	}
	return n
}

// indexed adds to the index a member that was added, or changed after unindexed.
func (ms *members) indexed(m *Member) {
	switch {
	case ms.index != nil:
		ms.index.add(m)
	case ms.size > smallMapMax || len(m.protocols) > smallMapMax:
		ms.index = &index{map[string]*Member{}, map[string]int{}}
		for _, m := range ms.all() {
			ms.index.add(m)
		}
	}
}

// unindexed removes from the index a member that is about to change or to be removed.
func (ms *members) unindexed(m *Member) {
	if ms.index != nil {
		ms.index.remove(m)
	}
}

func (x *index) add(m *Member) {
	x.byID[m.ID] = m
	for i := range m.protocols {
		x.supported[m.protocols[i].Name]++
	}
}

func (x *index) remove(m *Member) {
	delete(x.byID, m.ID)
	for i := range m.protocols {
		name := m.protocols[i].Name
		if x.supported[name]--; x.supported[name] == 0 {
			delete(x.supported, name)
		}
	}
}
