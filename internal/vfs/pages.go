package vfs

import "slices"

// pageSize is the unit in which a crash keeps or loses unsynced bytes.
const pageSize = 4096

// pages is the content of a file in memory. Copies share pages; a shared page is copied before it
// is written to.
type pages struct {
	size  int64
	pages []*page // nil means zeros; may be shorter than size
}

type page struct {
	bytes  [pageSize]byte
	shared bool
}

// share returns a copy that shares all pages with p.
func (p *pages) share() pages {
	for _, pg := range p.pages {
		if pg != nil {
			pg.shared = true
		}
	}
	return pages{size: p.size, pages: slices.Clone(p.pages)}
}

// at returns page i, or nil if it is all zeros.
func (p *pages) at(i int) *page {
	if i < len(p.pages) {
		return p.pages[i]
	}
	return nil
}

// own returns page i for writing, after making it unshared.
func (p *pages) own(i int) *page {
	if i >= len(p.pages) {
		p.pages = append(p.pages, make([]*page, i+1-len(p.pages))...)
	}
	switch pg := p.pages[i]; {
	case pg == nil:
		p.pages[i] = &page{}
	case pg.shared:
		p.pages[i] = &page{bytes: pg.bytes}
	}
	return p.pages[i]
}

func (p *pages) readAt(b []byte, off int64) int {
	if off >= p.size {
		return 0
	}
	b = b[:min(int64(len(b)), p.size-off)]
	for done := 0; done < len(b); {
		at := off + int64(done)
		rest := b[done:min(len(b), done+int(pageSize-at%pageSize))]
		if pg := p.at(int(at / pageSize)); pg != nil {
			copy(rest, pg.bytes[at%pageSize:])
		} else {
			clear(rest)
		}
		done += len(rest)
	}
	return len(b)
}

func (p *pages) writeAt(b []byte, off int64) {
	p.size = max(p.size, off+int64(len(b)))
	for len(b) > 0 {
		n := copy(p.own(int(off / pageSize)).bytes[off%pageSize:], b)
		b, off = b[n:], off+int64(n)
	}
}

// truncate sets the size. Bytes beyond it are zeros if the file grows again.
func (p *pages) truncate(size int64) {
	if size < p.size {
		last := int(size / pageSize)
		if within := size % pageSize; within > 0 && p.at(last) != nil {
			clear(p.own(last).bytes[within:])
			last++
		}
		if last < len(p.pages) {
			clear(p.pages[last:])
			p.pages = p.pages[:last]
		}
	}
	p.size = size
}
