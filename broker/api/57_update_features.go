package api

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/controller"
	"github.com/monedula/monedula/protocol"
)

// FeatureUpdater finalizes features. done is called once, with an entry per feature (nil for
// success) or with the error of the whole request. It is implemented by *controller.Controller.
type FeatureUpdater interface {
	ControllerStatus
	UpdateFeatures(updates []controller.FeatureUpdate, validateOnly bool, timeout time.Duration, done func(results map[string]error, err error))
}

// UpdateFeatures finalizes features (KIP-584). Only the controller serves it. Kafka has no features
// for clusters with ZooKeeper.
//
// Versions 0 and 1. v1 adds validation without a change.
func UpdateFeatures(updater FeatureUpdater, settings Settings) Handler {
	h := Handler{Key: protocol.UpdateFeatures, Min: 0, Max: 1}
	return Typed(h, func(c *Call, req *kmsg.UpdateFeaturesRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrUpdateFeaturesResponse()
		resp.Results = []kmsg.UpdateFeaturesResponseResult{}
		refuse := func(err error) (kmsg.Response, error) {
			resp.ErrorCode, resp.ErrorMessage = codeAndText(err)
			return resp, nil
		}
		switch {
		case !c.AllowsCluster(kmsg.ACLOperationAlter):
			return refuse(protocol.ClusterAuthorizationFailed)
		case !updater.IsActive():
			return refuse(protocol.NotController)
		case !settings.Current().IBP().AtLeast("2.7-IV0"):
			return refuse(protocol.Errorf(protocol.InvalidRequest, "Feature versioning system is disabled."))
		}
		updates := make([]controller.FeatureUpdate, len(req.FeatureUpdates))
		for i, u := range req.FeatureUpdates {
			updates[i] = controller.FeatureUpdate{Feature: u.Feature, MaxLevel: u.MaxVersionLevel, Upgrade: controller.UpgradeType(u.UpgradeType)}
			if c.Version == 0 {
				updates[i].Upgrade = controller.UpgradeOnly
				if u.AllowDowngrade {
					updates[i].Upgrade = controller.SafeDowngrade
				}
			}
		}
		results, refused, err := outcome(c.Context(), func(done func(map[string]error, error)) {
			updater.UpdateFeatures(updates, req.ValidateOnly, millis(req.TimeoutMillis), done)
		})
		if err != nil {
			return nil, err
		}
		if refused != nil {
			return refuse(refused)
		}
		for _, feature := range sortedKeys(results) {
			result := kmsg.NewUpdateFeaturesResponseResult()
			result.Feature = feature
			result.ErrorCode, result.ErrorMessage = codeAndMessage(results[feature])
			resp.Results = append(resp.Results, result)
		}
		return resp, nil
	})
}
