package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/protocol"
)

// IncrementalAlterConfigs sets, deletes, appends to and subtracts from single keys of topics and
// brokers, and sets log levels (KIP-339, KIP-412).
//
// Versions 0 and 1.
func IncrementalAlterConfigs(changer *ConfigChanger) Handler {
	h := Handler{Key: protocol.IncrementalAlterConfigs, Min: 0, Max: 1, PerEntry: true, Unthrottled: true}
	return Typed(h, func(c *Call, req *kmsg.IncrementalAlterConfigsRequest) (kmsg.Response, error) {
		changes := make([]resourceChange, len(req.Resources))
		for i, r := range req.Resources {
			change := resourceChange{typ: r.ResourceType, name: r.ResourceName}
			for _, config := range r.Configs {
				alteration := admin.Alteration{Name: config.Name, Op: admin.Operation(config.Op)}
				switch {
				case config.Value != nil:
					alteration.Value = *config.Value
				case alteration.Op != admin.Delete:
					change.nulls = append(change.nulls, config.Name)
				}
				change.alterations = append(change.alterations, alteration)
			}
			changes[i] = change
		}
		resp := kmsg.NewPtrIncrementalAlterConfigsResponse()
		resp.Resources = []kmsg.IncrementalAlterConfigsResponseResource{}
		for i, err := range changer.changeAll(c, changes, req.ValidateOnly) {
			result := kmsg.NewIncrementalAlterConfigsResponseResource()
			result.ResourceType, result.ResourceName = changes[i].typ, changes[i].name
			result.ErrorCode, result.ErrorMessage = codeAndMessage(err)
			resp.Resources = append(resp.Resources, result)
		}
		return resp, nil
	})
}
