package tools

import "sort"

// All returns all tools, keyed by name.
func All() map[string]Tool {
	all := map[string]Tool{}
	for _, t := range []Tool{
		topicsTool, consoleProducerTool, consoleConsumerTool, getOffsetsTool,
		dumpLogTool, brokerAPIVersionsTool, clusterTool, serverStopTool,
		configsTool, reassignTool, leaderElectionTool, preferredElectionTool, deleteRecordsTool, logDirsTool,
		consumerGroupsTool, verifiableProducerTool, verifiableConsumerTool,
		producerPerfTool, consumerPerfTool, replicaVerificationTool,
	} {
		all[t.Name] = t
	}
	return all
}

// Names returns the names of all tools, sorted.
func Names() []string {
	var names []string
	for name := range All() {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
