// Package transaction is the transaction coordinator. It knows, for each transactional id, the
// producer that uses it and the state of that producer's transaction, and keeps both in the topic
// __transaction_state.
//
// A Transaction is a pure state machine: each step is given the time and returns Effects.
package transaction
