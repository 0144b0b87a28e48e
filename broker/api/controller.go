package api

import "github.com/monedula/monedula/controller"

// ControllerStatus reports whether this broker is the controller. It is implemented by
// *controller.Controller.
type ControllerStatus interface{ IsActive() bool }

// The controller implements the interfaces that the handlers of its requests need.
var (
	_ ControllerStatus    = (*controller.Controller)(nil)
	_ ShutdownPreparer    = (*controller.Controller)(nil)
	_ LeaderElector       = (*controller.Controller)(nil)
	_ Reassigner          = (*controller.Controller)(nil)
	_ ReassignmentLister  = (*controller.Controller)(nil)
	_ PartitionAlterer    = (*controller.Controller)(nil)
	_ FeatureUpdater      = (*controller.Controller)(nil)
	_ ProducerIDAllocator = (*controller.Controller)(nil)
)
