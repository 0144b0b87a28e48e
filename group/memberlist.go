package group

import "iter"

// memberList is a linked list of a group's members in the order in which they joined. A member is
// removed in constant time, since a request may remove very many. The zero list is empty.
type memberList struct {
	first, last *Member
	size        int
}

func (l *memberList) add(m *Member) {
	m.previous = l.last
	if l.last != nil {
		l.last.next = m
	} else {
		l.first = m
	}
	l.last = m
	l.size++
}

// remove removes a member, which must be in the list.
func (l *memberList) remove(m *Member) {
	if m.previous != nil {
		m.previous.next = m.next
	} else {
		l.first = m.next
	}
	if m.next != nil {
		m.next.previous = m.previous
	} else {
		l.last = m.previous
	}
	m.previous, m.next = nil, nil
	l.size--
}

// all returns the members with their indexes from 0. The list must not change during the iteration.
func (l *memberList) all() iter.Seq2[int, *Member] {
	return func(yield func(int, *Member) bool) {
		i := 0
		for m := l.first; m != nil; m = m.next {
			if !yield(i, m) {
				return
			}
			i++
		}
	}
}
