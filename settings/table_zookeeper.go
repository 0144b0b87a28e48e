package settings

// The keys of ZooKeeper.
var (
	ZooKeeperConnect = nullableKey[string]("zookeeper.connect", nil, High, ReadOnly,
		"ZooKeeper servers, host:port separated by commas, followed by the path below which the cluster keeps its data.")
	ZooKeeperSessionTimeoutMs = key[int32]("zookeeper.session.timeout.ms", 18000, nil, High, ReadOnly,
		"Session timeout requested from ZooKeeper.")
	ZooKeeperConnectionTimeoutMs = nullableKey[int32]("zookeeper.connection.timeout.ms", nil, High, ReadOnly,
		"How long to wait for a connection to ZooKeeper; null for the session timeout.")
	ZooKeeperMaxInFlightRequests = key[int32]("zookeeper.max.in.flight.requests", 10, atLeast(1), High, ReadOnly,
		"Largest number of unanswered requests to ZooKeeper.")
	ZooKeeperSetACL = key[bool]("zookeeper.set.acl", false, nil, High, ReadOnly,
		"Whether nodes in ZooKeeper are created with access lists.")
	_ = nullableKey[string]("zookeeper.clientCnxnSocket", nil, Medium, ReadOnly,
		"Java class of the connection to ZooKeeper; the Netty class enables TLS.")
	zooKeeperSSLClientEnable = key[bool]("zookeeper.ssl.client.enable", false, nil, Medium, ReadOnly,
		"Whether connections to ZooKeeper use TLS.")
	_ = nullableKey[string]("zookeeper.ssl.keystore.location", nil, Medium, ReadOnly,
		"Path of the key store file for ZooKeeper.")
	_ = nullableKey[secret]("zookeeper.ssl.keystore.password", nil, Medium, ReadOnly,
		"Password of the key store for ZooKeeper.")
	_ = nullableKey[string]("zookeeper.ssl.keystore.type", nil, Medium, ReadOnly,
		"Format of the key store for ZooKeeper; null to derive it from the file name.")
	_ = nullableKey[string]("zookeeper.ssl.truststore.location", nil, Medium, ReadOnly,
		"Path of the trust store file for ZooKeeper.")
	_ = nullableKey[secret]("zookeeper.ssl.truststore.password", nil, Medium, ReadOnly,
		"Password of the trust store for ZooKeeper.")
	_ = nullableKey[string]("zookeeper.ssl.truststore.type", nil, Medium, ReadOnly,
		"Format of the trust store for ZooKeeper; null to derive it from the file name.")
	_ = key[string]("zookeeper.ssl.protocol", "TLSv1.2", nil, Low, ReadOnly,
		"Version of TLS for ZooKeeper.")
	_ = nullableKey[[]string]("zookeeper.ssl.enabled.protocols", nil, Low, ReadOnly,
		"Accepted versions of TLS for ZooKeeper.")
	_ = nullableKey[[]string]("zookeeper.ssl.cipher.suites", nil, Low, ReadOnly,
		"Accepted cipher suites for ZooKeeper.")
	_ = key[string]("zookeeper.ssl.endpoint.identification.algorithm", "HTTPS", nil, Low, ReadOnly,
		"How the name of a ZooKeeper server is checked against its certificate; empty for no check.")
	_ = key[bool]("zookeeper.ssl.crl.enable", false, nil, Low, ReadOnly,
		"Whether certificate revocation lists are checked.")
	_ = key[bool]("zookeeper.ssl.ocsp.enable", false, nil, Low, ReadOnly,
		"Whether the revocation of certificates is checked online (OCSP).")
	zooKeeperMetadataMigrationEnable = key[bool]("zookeeper.metadata.migration.enable", false, nil, High, ReadOnly,
		"Whether the cluster is migrated to KRaft. Cannot be enabled here.")
	_ = key[int32]("zookeeper.metadata.migration.min.batch.size", 200, atLeast(1), Medium, ReadOnly|Internal,
		"Number of records in a batch of the migration to KRaft.")
)
