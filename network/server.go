package network

import (
	"context"
	"net"
)

// Server accepts connections on its listeners and has their requests served.
// Bind, Start, StopProcessing and Shutdown are called in this order.
type Server struct{ _ int }

// NewServer checks cfg and returns a server that has opened nothing yet.
func NewServer(cfg Config) (*Server, error) { panic("unwritten") }

// Bind opens the sockets of all listeners, so that a port in use stops the
// start early; peers can connect, but nothing is read before Start. On an
// error none stays open.
func (s *Server) Bind() error { panic("unwritten") }

// Addr returns where the listener is bound, nil before Bind and for an unknown name.
func (s *Server) Addr(listener string) net.Addr { panic("unwritten") }

// Port returns the TCP port where the listener is bound, 0 where there is none.
func (s *Server) Port(listener string) int { panic("unwritten") }

// Start begins to accept and to serve.
func (s *Server) Start(h Handler) { panic("unwritten") }

// StopProcessing closes the listeners and all idle connections, closes
// Request.Done of the others and lets these answer until ctx ends; then it cuts
// them. It returns an error when handlers did not return even then. Calling it
// again does nothing more.
func (s *Server) StopProcessing(ctx context.Context) error { panic("unwritten") }

// Shutdown is StopProcessing, if that was not called, with Kafka's last log lines.
func (s *Server) Shutdown(ctx context.Context) error { panic("unwritten") }

// Stats returns the counters.
func (s *Server) Stats() Stats { panic("unwritten") }

// ConnectionCounts returns the open connections by listener name.
func (s *Server) ConnectionCounts() map[string]int { panic("unwritten") }

func hostOf(a net.Addr) string { panic("unwritten") }
