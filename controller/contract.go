// Package controller is the elected controller: one event goroutine owns the
// context; partition and replica state machines decide; pure functions elect
// leaders. It meets brokers, its own included, only over the wire, and
// ZooKeeper only through zkstore.
package controller
