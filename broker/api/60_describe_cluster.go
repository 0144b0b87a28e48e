package api

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// DescribeCluster returns the cluster's id, its controller and its brokers, with their addresses on
// the listener that received the request.
//
// Versions 0 and 1. v1 adds the type of endpoints, brokers or controllers; this broker only has the
// former.
func DescribeCluster(cache Metadata, clusterID string) Handler {
	h := Handler{Key: protocol.DescribeCluster, Min: 0, Max: 1, Unthrottled: true}
	return Typed(h, func(c *Call, req *kmsg.DescribeClusterRequest) (kmsg.Response, error) {
		resp := kmsg.NewPtrDescribeClusterResponse()
		resp.Brokers = []kmsg.DescribeClusterResponseBroker{}
		if code, message := checkEndpointType(req); code != protocol.None {
			resp.ErrorCode, resp.ErrorMessage = int16(code), &message
			resp.ControllerID = -1
			return resp, nil
		}
		snapshot := cache.Snapshot()
		if len(snapshot.Brokers) == 0 {
			return nil, protocol.Errorf(protocol.LeaderNotAvailable, "This broker has not heard from a controller yet.")
		}
		if req.IncludeClusterAuthorizedOperations {
			resp.ClusterAuthorizedOperations = c.clusterOperations()
		}
		resp.ClusterID, resp.ControllerID = clusterID, -1
		for _, b := range reachableBrokers(snapshot, c.Peer.Listener) {
			broker := kmsg.NewDescribeClusterResponseBroker()
			broker.NodeID, broker.Host, broker.Port, broker.Rack = int32(b.id), b.host, b.port, b.rack
			resp.Brokers = append(resp.Brokers, broker)
			if b.id == snapshot.ControllerID {
				resp.ControllerID = broker.NodeID
			}
		}
		return resp, nil
	})
}

// The endpoint types of DescribeCluster v1.
const (
	brokerEndpoints     = 1
	controllerEndpoints = 2
)

func checkEndpointType(req *kmsg.DescribeClusterRequest) (code protocol.ErrorCode, message string) {
	switch {
	case req.Version == 0 || req.EndpointType == brokerEndpoints:
		return protocol.None, ""
	case req.EndpointType == controllerEndpoints:
		return protocol.MismatchedEndpointType, "The request was sent to an endpoint of type BROKER, but we wanted an endpoint of type CONTROLLER"
	}
	return protocol.UnsupportedEndpointType, fmt.Sprintf("Unsupported endpoint type %d", req.EndpointType)
}
