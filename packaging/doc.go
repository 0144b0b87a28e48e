// Command packaging builds what users download: an archive with Kafka's directories, packages for
// Debian and for distributions with rpm, and a container image. It is a module of its own, so that
// the libraries that write packages and images are not dependencies of the broker.
//
//	go run . [-out DIRECTORY] [-arch amd64,arm64] [-format tgz,deb,rpm,image]
//
// The same commit and the same Go release give the same bytes: times are those of the commit, or
// $SOURCE_DATE_EPOCH, and owners, modes and orders do not depend on the machine.
package main
