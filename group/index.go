package group

// index finds members by id and counts the members that offer a protocol. Only groups of many
// members or protocols have one.
type index struct {
	byID      map[string]*Member
	supported map[string]int // by the name of the protocol
}

// member returns the member with the id, or nil if the group has none.
func (g *Group) member(id string) *Member {
	if g.index != nil {
		return g.index.byID[id]
	}
	for _, m := range g.members.all() {
		if m.ID == id {
			return m
		}
	}
	return nil
}

// supporters returns how many members offer the protocol.
func (g *Group) supporters(protocol string) int {
	if g.index != nil {
		return g.index.supported[protocol]
	}
	n := 0
	for _, m := range g.members.all() {
		for i := range m.protocols {
			if m.protocols[i].Name == protocol {
				n++
			}
		}
	}
	return n
}

// indexed adds to the index a member that was added to the group, or changed after unindexed.
func (g *Group) indexed(m *Member) {
	switch {
	case g.index != nil:
		g.index.add(m)
	case g.members.size > smallMapMax || len(m.protocols) > smallMapMax:
		g.index = &index{map[string]*Member{}, map[string]int{}}
		for _, m := range g.members.all() {
			g.index.add(m)
		}
	}
}

// unindexed removes from the index a member that is about to change or to be removed.
func (g *Group) unindexed(m *Member) {
	if g.index != nil {
		g.index.remove(m)
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
