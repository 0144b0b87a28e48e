package transactions

import (
	"errors"

	"github.com/sirupsen/logrus"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/metadata"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/tools/client"
)

// Parts that the calls share.

// log returns the logger of a class of the admin client.
func (a *admin) log(class string) *logrus.Entry {
	return a.Env.Logger("org.apache.kafka.clients.admin.internals." + class)
}

// ask sends a request to a broker once.
func ask[R kmsg.Response](a *admin, c *client.Call, broker metadata.BrokerID, req kmsg.Request, max int16) (resp R, err error) {
	link, err := a.Cluster().Broker(c.Ctx, broker)
	if err != nil {
		return resp, err
	}
	answer, err := link.Negotiated(c.Ctx, req, max)
	if err != nil {
		return resp, err
	}
	return answer.(R), nil
}

// unsupported reports whether a broker does not have the API, so that it is of no use to ask again.
func unsupported(err error) bool { return errors.Is(err, protocol.UnsupportedVersion) }

// coordinators returns the coordinators of transactional ids, those that are known by now.
func (a *admin) coordinators(c *client.Call, ids []string) (map[string]metadata.BrokerID, error) {
	req := kmsg.NewPtrFindCoordinatorRequest()
	req.CoordinatorType, req.CoordinatorKeys = 1, ids
	answer, err := a.Cluster().Any(c.Ctx, req, 6)
	if err != nil {
		return nil, nil
	}
	found := map[string]metadata.BrokerID{}
	for _, one := range answer.(*kmsg.FindCoordinatorResponse).Coordinators {
		switch code := protocol.ErrorCode(one.ErrorCode); code {
		case protocol.None:
			found[one.Key] = metadata.BrokerID(one.NodeID)
		case protocol.CoordinatorNotAvailable, protocol.CoordinatorLoadInProgress:
		case protocol.TransactionalIDAuthorizationFailed:
			return nil, protocol.Errorf(code, "FindCoordinator request for transactionalId `CoordinatorKey(idValue='%s', type=TRANSACTION)` failed due to authorization failure", one.Key)
		default:
			return nil, protocol.Errorf(code, "FindCoordinator request for key `CoordinatorKey(idValue='%s', type=TRANSACTION)` failed due to an unexpected error", one.Key)
		}
	}
	return found, nil
}
