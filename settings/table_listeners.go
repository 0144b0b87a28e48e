package settings

import "math"

// The keys of listeners, sockets and connections.
var (
	listeners = key[string]("listeners", "PLAINTEXT://:9092", nil, High, PerBroker,
		"Addresses on which the broker listens: NAME://host:port, separated by commas. An empty host means all interfaces.")
	advertisedListeners = nullableKey[string]("advertised.listeners", nil, High, PerBroker,
		"Addresses that clients and other brokers receive. The default is the value of listeners.")
	listenerSecurityProtocolMap = key[string]("listener.security.protocol.map", "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT", nil, Low, PerBroker,
		"Security protocol of each listener name: NAME:PROTOCOL, separated by commas.")
	interBrokerListenerName = nullableKey[string]("inter.broker.listener.name", nil, Medium, ReadOnly,
		"Listener for connections between brokers. Cannot be set together with security.inter.broker.protocol.")
	controlPlaneListenerName = nullableKey[string]("control.plane.listener.name", nil, High, ReadOnly,
		"Listener that only the controller uses to connect to this broker.")
	controllerListenerNames = nullableKey[string]("controller.listener.names", nil, High, ReadOnly,
		"Listeners of the controller. Used in KRaft mode only.")
	_ = nullableKey[string]("early.start.listeners", nil, High, ReadOnly,
		"Listeners that open before the authorizer is ready.")
	SocketSendBufferBytes = key[int32]("socket.send.buffer.bytes", 102400, nil, High, ReadOnly,
		"Size of a socket's send buffer; -1 leaves it to the operating system.")
	SocketReceiveBufferBytes = key[int32]("socket.receive.buffer.bytes", 102400, nil, High, ReadOnly,
		"Size of a socket's receive buffer; -1 leaves it to the operating system.")
	SocketRequestMaxBytes = key[int32]("socket.request.max.bytes", 104857600, atLeast(1), High, ReadOnly,
		"Largest accepted request.")
	SocketListenBacklogSize = key[int32]("socket.listen.backlog.size", 50, atLeast(1), Medium, ReadOnly,
		"Number of connections that may wait to be accepted.")
	_ = key[int64]("socket.connection.setup.timeout.ms", 10000, nil, Medium, ReadOnly,
		"How long to wait for a connection to be established; doubled after each failure.")
	_ = key[int64]("socket.connection.setup.timeout.max.ms", 30000, nil, Medium, ReadOnly,
		"Longest time to wait for a connection to be established.")
	_ = key[int32]("queued.max.requests", 500, atLeast(1), High, ReadOnly,
		"Number of queued requests at which the broker stops reading more.")
	queuedMaxRequestBytes = key[int64]("queued.max.request.bytes", -1, nil, Medium, ReadOnly,
		"Number of bytes of queued requests at which the broker stops reading more; -1 for no limit.")
	ConnectionsMaxIdleMs = key[int64]("connections.max.idle.ms", 600000, nil, Medium, ReadOnly,
		"How long a connection may be idle before it is closed.")
	connectionsMaxReauthMs = key[int64]("connections.max.reauth.ms", 0, nil, Medium, ReadOnly,
		"How long a SASL session is valid before the client must authenticate again; 0 for no limit.")
	connectionFailedAuthenticationDelayMs = key[int32]("connection.failed.authentication.delay.ms", 100, atLeast(0), Low, ReadOnly,
		"How long to wait before a connection that failed to authenticate is closed.")
	MaxConnections = key[int32]("max.connections", math.MaxInt32, atLeast(0), Medium, ClusterWide,
		"Largest number of open connections.")
	MaxConnectionsPerIP = key[int32]("max.connections.per.ip", math.MaxInt32, atLeast(0), Medium, ClusterWide,
		"Largest number of open connections from one address.")
	maxConnectionsPerIPOverrides = key[string]("max.connections.per.ip.overrides", "", nil, Medium, ClusterWide,
		"Largest number of open connections from individual hosts or addresses: host:number, separated by commas.")
	maxConnectionCreationRate = key[int32]("max.connection.creation.rate", math.MaxInt32, atLeast(0), Medium, ClusterWide,
		"Largest number of new connections per second.")
)
