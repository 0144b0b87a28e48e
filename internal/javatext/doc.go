// Package javatext writes hash codes, orders of iteration and text as Java and Scala do. Kafka's
// messages to clients, log lines, output of tools and znodes show them: a set of keys in the order
// of a hash table, a list in Scala's notation, a topic id. Package kafkalog writes the log lines
// themselves.
//
// Orders are those of Java 17 and Scala 2.13. Keys are given in the order of insertion, without
// repetitions. A table of 64 slots or more in which nine keys share a slot keeps them in a tree in
// Java; here they stay in the order of insertion.
package javatext
