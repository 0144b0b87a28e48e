package api

import "github.com/monedula/monedula/controller"

// What the handlers of the controller's requests need, this broker's controller has.
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
