package settings

// The keys of authentication, authorization, TLS and tokens.
var (
	securityInterBrokerProtocol = key[string]("security.inter.broker.protocol", "PLAINTEXT", in("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"), Medium, ReadOnly,
		"Security protocol between brokers. Cannot be set together with inter.broker.listener.name.")
	_ = nullableKey[string]("security.providers", nil, Low, ReadOnly,
		"Java security providers. Has no effect here.")
	authorizerClassName = key[string]("authorizer.class.name", "", nil, Low, ReadOnly,
		"Name of the authorizer. Without one, all operations are allowed.")
	_ = key[className]("principal.builder.class", defaultPrincipalBuilder, nil, Medium, PerBroker,
		"Java class that maps the identity of a connection to a principal. Only the default class is supported.")
	delegationTokenMasterKey = nullableKey[secret]("delegation.token.master.key", nil, Medium, ReadOnly,
		"Old name for delegation.token.secret.key.")
	delegationTokenSecretKey = nullableKey[secret]("delegation.token.secret.key", nil, Medium, ReadOnly,
		"Secret with which delegation tokens are signed, the same on all brokers. Without it, delegation tokens are disabled.")
	_ = key[int64]("delegation.token.max.lifetime.ms", 604800000, atLeast(1), Medium, ReadOnly,
		"Longest life of a delegation token, renewals included.")
	_ = key[int64]("delegation.token.expiry.time.ms", 86400000, atLeast(1), Medium, ReadOnly,
		"How long a delegation token is valid without renewal.")
	_ = key[int64]("delegation.token.expiry.check.interval.ms", 3600000, atLeast(1), Low, ReadOnly,
		"How often expired delegation tokens are removed.")
	passwordEncoderSecret = nullableKey[secret]("password.encoder.secret", nil, Medium, ReadOnly,
		"Secret with which passwords in dynamic configurations are encrypted.")
	_ = nullableKey[secret]("password.encoder.old.secret", nil, Medium, ReadOnly,
		"Previous value of password.encoder.secret, for passwords that are still encrypted with it.")
	passwordEncoderKeyfactoryAlgorithm = nullableKey[string]("password.encoder.keyfactory.algorithm", nil, Low, ReadOnly,
		"Algorithm that derives the encryption key; null for the best one available.")
	passwordEncoderCipherAlgorithm = key[string]("password.encoder.cipher.algorithm", "AES/CBC/PKCS5Padding", nil, Low, ReadOnly,
		"Cipher for passwords in dynamic configurations.")
	passwordEncoderKeyLength = key[int32]("password.encoder.key.length", 128, atLeast(8), Low, ReadOnly,
		"Length of the encryption key in bits.")
	passwordEncoderIterations = key[int32]("password.encoder.iterations", 4096, atLeast(1024), Low, ReadOnly,
		"Number of iterations of the key derivation.")
	saslMechanismInterBrokerProtocol = key[string]("sasl.mechanism.inter.broker.protocol", "GSSAPI", nil, Medium, PerBroker,
		"SASL mechanism between brokers.")
	_ = key[string]("sasl.mechanism.controller.protocol", "GSSAPI", nil, High, ReadOnly,
		"SASL mechanism for connections to controllers. Used in KRaft mode only.")
	saslEnabledMechanisms = key[[]string]("sasl.enabled.mechanisms", []string{"GSSAPI"}, nil, Medium, PerBroker,
		"SASL mechanisms that clients may use.")
	saslJAASConfig = nullableKey[secret]("sasl.jaas.config", nil, Medium, PerBroker,
		"Login configuration in the syntax of a JAAS file: class, control flag, options and a semicolon.")
	saslServerCallbackHandlerClass = nullableKey[className]("sasl.server.callback.handler.class", nil, Medium, ReadOnly,
		"Java class that checks credentials. Java classes cannot be loaded here.")
	_ = nullableKey[className]("sasl.client.callback.handler.class", nil, Medium, ReadOnly,
		"Java class that provides credentials. Java classes cannot be loaded here.")
	saslLoginClass = nullableKey[className]("sasl.login.class", nil, Medium, ReadOnly,
		"Java class that logs in. Java classes cannot be loaded here.")
	saslLoginCallbackHandlerClass = nullableKey[className]("sasl.login.callback.handler.class", nil, Medium, ReadOnly,
		"Java class that provides credentials at login. Java classes cannot be loaded here.")
	_ = key[int32]("sasl.server.max.receive.size", 524288, nil, Medium, ReadOnly,
		"Largest frame accepted before a client is authenticated.")
	_ = nullableKey[string]("sasl.kerberos.service.name", nil, Medium, PerBroker,
		"Kerberos principal under which brokers run.")
	_ = key[string]("sasl.kerberos.kinit.cmd", "/usr/bin/kinit", nil, Medium, PerBroker,
		"Path of kinit.")
	_ = key[float64]("sasl.kerberos.ticket.renew.window.factor", 0.8, nil, Medium, PerBroker,
		"Share of a ticket's life after which it is renewed.")
	_ = key[float64]("sasl.kerberos.ticket.renew.jitter", 0.05, nil, Medium, PerBroker,
		"Random share added to the time of renewal.")
	_ = key[int64]("sasl.kerberos.min.time.before.relogin", 60000, nil, Medium, PerBroker,
		"Shortest time between two renewals.")
	_ = key[[]string]("sasl.kerberos.principal.to.local.rules", []string{"DEFAULT"}, nil, Medium, PerBroker,
		"Rules that map principals to short names, as in auth_to_local.")
	_ = key[float64]("sasl.login.refresh.window.factor", 0.8, nil, Medium, PerBroker,
		"Share of a credential's life after which it is refreshed.")
	_ = key[float64]("sasl.login.refresh.window.jitter", 0.05, nil, Medium, PerBroker,
		"Random share added to the time of refresh.")
	_ = key[int16]("sasl.login.refresh.min.period.seconds", 60, nil, Medium, PerBroker,
		"Shortest time before a credential is refreshed.")
	_ = key[int16]("sasl.login.refresh.buffer.seconds", 300, nil, Medium, PerBroker,
		"Time before the expiry of a credential in which it should not be refreshed.")
	_ = nullableKey[int32]("sasl.login.connect.timeout.ms", nil, Low, ReadOnly,
		"How long to wait for a connection to the authentication provider.")
	_ = nullableKey[int32]("sasl.login.read.timeout.ms", nil, Low, ReadOnly,
		"How long to wait for a response of the authentication provider.")
	_ = key[int64]("sasl.login.retry.backoff.ms", 100, nil, Low, ReadOnly,
		"First pause between two attempts to reach the authentication provider.")
	_ = key[int64]("sasl.login.retry.backoff.max.ms", 10000, nil, Low, ReadOnly,
		"Longest pause between two attempts to reach the authentication provider.")
	_ = key[string]("sasl.oauthbearer.scope.claim.name", "scope", nil, Low, ReadOnly,
		"Claim that holds the scope.")
	_ = key[string]("sasl.oauthbearer.sub.claim.name", "sub", nil, Low, ReadOnly,
		"Claim that holds the subject.")
	_ = nullableKey[string]("sasl.oauthbearer.token.endpoint.url", nil, Medium, ReadOnly,
		"URL of the token endpoint of the identity provider.")
	_ = nullableKey[string]("sasl.oauthbearer.jwks.endpoint.url", nil, Medium, ReadOnly,
		"URL of the keys of the identity provider.")
	_ = key[int64]("sasl.oauthbearer.jwks.endpoint.refresh.ms", 3600000, nil, Low, ReadOnly,
		"How long the keys of the identity provider are cached.")
	_ = key[int64]("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", 100, nil, Low, ReadOnly,
		"First pause between two attempts to read the keys of the identity provider.")
	_ = key[int64]("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", 10000, nil, Low, ReadOnly,
		"Longest pause between two attempts to read the keys of the identity provider.")
	_ = key[int32]("sasl.oauthbearer.clock.skew.seconds", 30, nil, Low, ReadOnly,
		"Tolerated difference between clocks.")
	_ = nullableKey[[]string]("sasl.oauthbearer.expected.audience", nil, Low, ReadOnly,
		"Audiences; a token must name one of them.")
	_ = nullableKey[string]("sasl.oauthbearer.expected.issuer", nil, Low, ReadOnly,
		"Issuer that tokens must name.")
	_ = key[string]("ssl.protocol", "TLSv1.3", nil, Medium, PerBroker,
		"Version of TLS.")
	_ = nullableKey[string]("ssl.provider", nil, Medium, PerBroker,
		"Java security provider for TLS. Has no effect here.")
	_ = key[[]string]("ssl.enabled.protocols", []string{"TLSv1.2", "TLSv1.3"}, nil, Medium, PerBroker,
		"Accepted versions of TLS.")
	_ = key[[]string]("ssl.cipher.suites", nil, nil, Medium, PerBroker,
		"Accepted cipher suites; empty for the default ones.")
	_ = key[string]("ssl.client.auth", "none", in("required", "requested", "none"), Medium, PerBroker,
		"Whether clients must present a certificate: required, requested or none.")
	sslKeystoreType = key[string]("ssl.keystore.type", "JKS", nil, Medium, PerBroker,
		"Format of the key store: JKS, PKCS12 or PEM.")
	sslKeystoreLocation = nullableKey[string]("ssl.keystore.location", nil, Medium, PerBroker,
		"Path of the key store file.")
	sslKeystorePassword = nullableKey[secret]("ssl.keystore.password", nil, Medium, PerBroker,
		"Password of the key store.")
	sslKeyPassword = nullableKey[secret]("ssl.key.password", nil, Medium, PerBroker,
		"Password of the private key.")
	sslKeystoreKey = nullableKey[secret]("ssl.keystore.key", nil, Medium, PerBroker,
		"Private key in PEM format.")
	sslKeystoreCertificateChain = nullableKey[secret]("ssl.keystore.certificate.chain", nil, Medium, PerBroker,
		"Certificates of the private key in PEM format.")
	sslTruststoreType = key[string]("ssl.truststore.type", "JKS", nil, Medium, PerBroker,
		"Format of the trust store: JKS, PKCS12 or PEM.")
	sslTruststoreLocation = nullableKey[string]("ssl.truststore.location", nil, Medium, PerBroker,
		"Path of the trust store file.")
	sslTruststorePassword = nullableKey[secret]("ssl.truststore.password", nil, Medium, PerBroker,
		"Password of the trust store.")
	sslTruststoreCertificates = nullableKey[secret]("ssl.truststore.certificates", nil, Medium, PerBroker,
		"Trusted certificates in PEM format.")
	_ = key[string]("ssl.keymanager.algorithm", "SunX509", nil, Medium, PerBroker,
		"Algorithm of the Java key manager. Has no effect here.")
	_ = key[string]("ssl.trustmanager.algorithm", "PKIX", nil, Medium, PerBroker,
		"Algorithm of the Java trust manager. Has no effect here.")
	_ = key[string]("ssl.endpoint.identification.algorithm", "https", nil, Low, PerBroker,
		"How the name of a server is checked against its certificate; empty for no check.")
	_ = nullableKey[string]("ssl.secure.random.implementation", nil, Low, PerBroker,
		"Java random generator for TLS. Has no effect here.")
	_ = nullableKey[className]("ssl.engine.factory.class", nil, Low, PerBroker,
		"Java class that creates TLS engines. Java classes cannot be loaded here.")
	_ = key[string]("ssl.principal.mapping.rules", "DEFAULT", nil, Low, ReadOnly,
		"Rules that map the distinguished name of a certificate to a user name. The first matching rule applies.")
	_ = key[bool]("ssl.allow.dn.changes", false, nil, Low, ReadOnly,
		"Whether a new key store may have a different distinguished name.")
	_ = key[bool]("ssl.allow.san.changes", false, nil, Low, ReadOnly,
		"Whether a new key store may lack subject alternative names of the old one.")
)
