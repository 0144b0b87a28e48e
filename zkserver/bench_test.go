package zkserver

import (
	"fmt"
	"sync"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/internal/vfs"
	"github.com/monedula/monedula/zkserver/jute"
)

// BenchmarkDurableWrites measures setData of 100 bytes on the embedded server and on Apache ZooKeeper,
// both of which sync their logs. Each of eight sessions has sixteen requests outstanding.
func BenchmarkDurableWrites(b *testing.B) {
	b.Run("embedded", func(b *testing.B) {
		s := startMem(b, func(c *Config) { c.FS, c.DataDir = vfs.OS(), b.TempDir() })
		measureWrites(b, s.Address())
	})
	b.Run("apache", func(b *testing.B) {
		real, err := testkit.ZooKeeperRelease{}.Start(b.TempDir())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(real.Kill)
		measureWrites(b, real.Address())
	})
}

func measureWrites(b *testing.B, address string) {
	const sessions, outstanding = 8, 16
	var clients [sessions]*rawClient
	for i := range clients {
		clients[i] = connectRaw(b, address)
		clients[i].create(fmt.Sprintf("/%d", i), jute.Ephemeral)
	}
	b.ResetTimer()
	var all sync.WaitGroup
	for i, c := range clients {
		request := jute.Append(nil, &jute.RequestHeader{Xid: 1, Type: jute.OpSetData}, &jute.SetDataRequest{Path: fmt.Sprintf("/%d", i), Data: make([]byte, 100), Version: -1})
		all.Go(func() {
			n := b.N/sessions + 1
			for sent, answered := 0, 0; answered < n; answered++ {
				for ; sent < n && sent < answered+outstanding; sent++ {
					c.sendRaw(request)
				}
				if a, err := c.read(); err != nil || a.header.Err != 0 {
					b.Errorf("%+v, %v", a, err)
					return
				}
			}
		})
	}
	all.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
}
