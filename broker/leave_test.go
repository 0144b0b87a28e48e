package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
)

// updateFrom returns the UpdateMetadata request that a controller sends about itself and the live
// brokers.
func updateFrom(controller int32, live ...int32) *kmsg.UpdateMetadataRequest {
	req := kmsg.NewPtrUpdateMetadataRequest()
	req.Version, req.ControllerID = 7, controller
	for _, id := range live {
		b := kmsg.NewUpdateMetadataRequestLiveBroker()
		b.ID = id
		req.LiveBrokers = append(req.LiveBrokers, b)
	}
	return req
}

func TestLeavingIsRetriedAsSoonAsAnotherControllerIsKnown(t *testing.T) {
	for name, c := range map[string]struct {
		then *kmsg.UpdateMetadataRequest // received after a second
		want time.Duration
	}{
		"another":                   {updateFrom(2, 1, 2), time.Second},
		"the same":                  {updateFrom(0, 0, 1, 2), 5 * time.Second},
		"another that is not alive": {updateFrom(2, 1), 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := metadata.NewCache()
				cache.Apply(updateFrom(0, 0, 1, 2))
				time.AfterFunc(time.Second, func() { cache.Apply(c.then) })
				began := time.Now()
				awaitOtherController(cache, 0, 5*time.Second)
				if took := time.Since(began); took != c.want {
					t.Errorf("waited %v, want %v", took, c.want)
				}
			})
		})
	}
}
