package api

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
)

func TestManyCoordinatorsCreateTheirTopicOnce(t *testing.T) {
	c, cache, writer := uninformed(t, nil)
	announce(cache, nil)
	cache.Confirm()
	for version := int16(4); version <= 6; version++ {
		writer.created = nil
		req := kmsg.NewPtrFindCoordinatorRequest()
		req.CoordinatorKeys = []string{"a", "b", "c"}
		resp := call[*kmsg.FindCoordinatorResponse](c, version, req)
		for _, found := range resp.Coordinators {
			if code := protocol.ErrorCode(found.ErrorCode); code != protocol.CoordinatorNotAvailable {
				t.Errorf("v%d: %s: %s", version, found.Key, code.Name())
			}
		}
		if len(resp.Coordinators) != 3 || !slices.Equal(writer.created, []string{metadata.GroupOffsetsTopic}) {
			t.Errorf("v%d: %d answers, created %v", version, len(resp.Coordinators), writer.created)
		}
	}
}
