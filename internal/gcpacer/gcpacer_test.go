package gcpacer

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/monedula/monedula/internal/testkit"
)

func TestGrowthIsHalfThenEightMebibytesThenAFifth(t *testing.T) {
	for _, tt := range []struct {
		alive uint64
		want  int
	}{{0, 50}, {4 << 20, 50}, {16 << 20, 50}, {20 << 20, 40}, {32 << 20, 25}, {40 << 20, 20}, {1 << 40, 20}} {
		if got := percentFor(tt.alive); got != tt.want {
			t.Errorf("%d live MiB may grow by %d%%, want %d%%", tt.alive>>20, got, tt.want)
		}
	}
}

func TestAHeapThatKeepsWhatIsAllocatedMayGrowByHalf(t *testing.T) {
	k := keeper{percent: most}
	for _, tt := range []struct {
		alive uint64 // MiB after a collection
		want  int
	}{{100, 20}, {109, 20}, {120, 50}, {175, 50}, {230, 50}, {260, 20}, {260, 20}, {100, 20}, {111, 50}} {
		if k.percent = k.next(tt.alive << 20); k.percent != tt.want {
			t.Errorf("with %d MiB the heap may grow by %d%%, want %d%%", tt.alive, k.percent, tt.want)
		}
	}
}

// The percentage follows the live heap up and down, collection after collection.
func TestThePercentageFollowsTheHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	Start()
	ballast := make([]byte, 64<<20)
	awaitPercent(t, least)
	runtime.KeepAlive(ballast)
	ballast = nil
	awaitPercent(t, most)
}

func awaitPercent(t *testing.T, want uint64) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, fmt.Sprintf("a percentage of %d", want), func() bool {
		runtime.GC()
		now := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(now)
		return now[0].Value.Uint64() == want
	})
}
