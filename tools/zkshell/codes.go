package zkshell

import "fmt"

// code is an error code of ZooKeeper.
type code int32

// The codes that the shell handles or makes itself.
const (
	ok                      code = 0
	connectionLoss          code = -4
	badArguments            code = -8
	reconfigInProgress      code = -14
	newConfigNoQuorum       code = -13
	noNode                  code = -101
	noAuth                  code = -102
	badVersion              code = -103
	noChildrenForEphemerals code = -108
	nodeExists              code = -110
	notEmpty                code = -111
	sessionExpired          code = -112
	invalidACL              code = -114
	authFailed              code = -115
	notReadOnly             code = -119
	ephemeralOnLocalSession code = -120
	noWatcher               code = -121
)

// codeNames are the names in the messages of Apache ZooKeeper's client.
var codeNames = map[code]string{
	ok: "ok", -1: "SystemError", -2: "RuntimeInconsistency", -3: "DataInconsistency", connectionLoss: "ConnectionLoss", -5: "MarshallingError",
	-6: "Unimplemented", -7: "OperationTimeout", badArguments: "BadArguments", newConfigNoQuorum: "NewConfigNoQuorum",
	reconfigInProgress: "ReconfigInProgress", -100: "APIError", noNode: "NoNode", noAuth: "NoAuth", badVersion: "BadVersion",
	noChildrenForEphemerals: "NoChildrenForEphemerals", nodeExists: "NodeExists", notEmpty: "Directory not empty",
	sessionExpired: "Session expired", -113: "Invalid callback", invalidACL: "InvalidACL", authFailed: "AuthFailed",
	-118: "Session moved", notReadOnly: "Not a read-only call", ephemeralOnLocalSession: "Ephemeral node on local session",
	noWatcher: "No such watcher", -122: "RequestTimeout", -123: "Reconfig is disabled", -124: "Session closed because client failed to authenticate",
	-125: "Quota has exceeded", -127: "Op throttled due to high load",
}

// failure is the error of a request.
type failure struct {
	code code
	path string // that the request named; may be empty
}

// Error returns the message of Apache ZooKeeper's client.
func (f failure) Error() string {
	name, known := codeNames[f.code]
	if !known {
		name = "Unknown error " + fmt.Sprint(int32(f.code))
	}
	if f.path == "" {
		return "KeeperErrorCode = " + name
	}
	return "KeeperErrorCode = " + name + " for " + f.path
}

// codeOf returns the code of a request's error, or ok.
func codeOf(err error) code {
	if f, is := err.(failure); is {
		return f.code
	}
	return ok
}
