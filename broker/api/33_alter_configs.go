package api

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/admin"
	"github.com/monedula/monedula/protocol"
)

// AlterConfigs replaces the whole configurations of topics and brokers.
//
// Versions 0 to 2.
func AlterConfigs(changer *ConfigChanger) Handler {
	h := Handler{Key: protocol.AlterConfigs, Min: 0, Max: 2, PerEntry: true}
	return Typed(h, func(c *Call, req *kmsg.AlterConfigsRequest) (kmsg.Response, error) {
		changes := make([]resourceChange, len(req.Resources))
		for i, r := range req.Resources {
			change := resourceChange{typ: r.ResourceType, name: r.ResourceName, whole: true}
			for _, config := range r.Configs {
				alteration := admin.Alteration{Name: config.Name, Op: admin.Set}
				if config.Value == nil {
					change.nulls = append(change.nulls, config.Name)
				} else {
					alteration.Value = *config.Value
				}
				change.alterations = append(change.alterations, alteration)
			}
			changes[i] = change
		}
		resp := kmsg.NewPtrAlterConfigsResponse()
		resp.Resources = []kmsg.AlterConfigsResponseResource{}
		for i, err := range changer.changeAll(c, changes, req.ValidateOnly) {
			result := kmsg.NewAlterConfigsResponseResource()
			result.ResourceType, result.ResourceName = changes[i].typ, changes[i].name
			result.ErrorCode, result.ErrorMessage = codeAndMessage(err)
			resp.Resources = append(resp.Resources, result)
		}
		return resp, nil
	})
}
