package api

import "github.com/monedula/monedula/controller"

// The controller implements the interfaces that the handlers of its requests need.
var (
	_ Office              = (*controller.Controller)(nil)
	_ ShutdownPreparer    = (*controller.Controller)(nil)
	_ LeaderElector       = (*controller.Controller)(nil)
	_ Reassigner          = (*controller.Controller)(nil)
	_ ReassignmentLister  = (*controller.Controller)(nil)
	_ PartitionAlterer    = (*controller.Controller)(nil)
	_ FeatureUpdater      = (*controller.Controller)(nil)
	_ ProducerIDAllocator = (*controller.Controller)(nil)
)
