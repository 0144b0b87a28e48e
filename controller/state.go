package controller

// State is what the controller does at the moment, with the number that Kafka's metric
// ControllerState has for it. It is the kind of the event that is being processed.
type State int8

// The states.
const (
	Idle                           State = 0
	ControllerChanging             State = 1
	BrokerChanging                 State = 2
	TopicChanging                  State = 3
	DeletingTopics                 State = 4
	Reassigning                    State = 5
	AutoBalancing                  State = 6
	ManualBalancing                State = 7
	ShuttingDownBroker             State = 8
	ChangingISR                    State = 9
	ReceivingLeaderAndISR          State = 10
	ChangingLogDir                 State = 11
	ShuttingDown                   State = 12 // the controller itself
	EnablingUncleanElection        State = 13
	EnablingUncleanElectionOfTopic State = 14
	ListingReassignments           State = 15
	ReceivingUpdateMetadata        State = 16
	UpdatingFeatures               State = 17
)

// timers are the metrics of kafka.controller:type=ControllerStats that measure the events of a
// state.
var timers = map[State]string{
	ControllerChanging:             "ControllerChangeRateAndTimeMs",
	BrokerChanging:                 "LeaderElectionRateAndTimeMs",
	TopicChanging:                  "TopicChangeRateAndTimeMs",
	DeletingTopics:                 "TopicDeletionRateAndTimeMs",
	Reassigning:                    "PartitionReassignmentRateAndTimeMs",
	AutoBalancing:                  "AutoLeaderBalanceRateAndTimeMs",
	ManualBalancing:                "ManualLeaderBalanceRateAndTimeMs",
	ShuttingDownBroker:             "ControlledShutdownRateAndTimeMs",
	ChangingISR:                    "IsrChangeRateAndTimeMs",
	ReceivingLeaderAndISR:          "LeaderAndIsrResponseReceivedRateAndTimeMs",
	ChangingLogDir:                 "LogDirChangeRateAndTimeMs",
	ShuttingDown:                   "ControllerShutdownRateAndTimeMs",
	EnablingUncleanElection:        "UncleanLeaderElectionEnableRateAndTimeMs",
	EnablingUncleanElectionOfTopic: "TopicUncleanLeaderElectionEnableRateAndTimeMs",
	ListingReassignments:           "ListPartitionReassignmentRateAndTimeMs",
	UpdatingFeatures:               "UpdateFeaturesRateAndTimeMs",
}

// Timer returns the name of the metric of kafka.controller:type=ControllerStats that measures the
// events of the state, or "" if there is none.
func (s State) Timer() string { return timers[s] }

// States returns all states.
func States() []State {
	all := make([]State, UpdatingFeatures+1)
	for i := range all {
		all[i] = State(i)
	}
	return all
}

// stateOf returns the state in which the controller processes the event.
func stateOf(e Event) State {
	switch e.(type) {
	case Startup, controllerChange, reelect, pauseOver, Expire, RegisterBrokerAndReelect:
		return ControllerChanging
	case brokerChange, brokerModifications:
		return BrokerChanging
	case topicChange, partitionModifications:
		return TopicChanging
	case topicDeletion, stopReplicaAnswered:
		return DeletingTopics
	case reassignmentISRChange, zkReassignment, alterReassignments:
		return Reassigning
	case autoRebalance:
		return AutoBalancing
	case electionRequest:
		return ManualBalancing
	case controlledShutdown:
		return ShuttingDownBroker
	case alterPartition, isrChangeNotification:
		return ChangingISR
	case leaderAndISRAnswered:
		return ReceivingLeaderAndISR
	case logDirEventNotification:
		return ChangingLogDir
	case uncleanElectionEnabled:
		return EnablingUncleanElection
	case topicUncleanElectionEnabled:
		return EnablingUncleanElectionOfTopic
	case listReassignments:
		return ListingReassignments
	case updateMetadataAnswered:
		return ReceivingUpdateMetadata
	case updateFeatures:
		return UpdatingFeatures
	}
	return Idle
}
