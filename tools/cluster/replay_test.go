package cluster

import (
	"testing"

	"github.com/monedula/monedula/internal/toolreplay"
)

func TestClusterToolsPrintWhatTheRealToolsPrint(t *testing.T) {
	toolreplay.Run(t, toolreplay.Suite{
		Files: map[string]string{"admin.properties": "client.id=me\n"},
		Cases: []toolreplay.Case{
			{Name: "id", Tool: Tool, Args: "cluster-id --bootstrap-server {B}"},
			{Name: "id-by-short-option", Tool: Tool, Args: "cluster-id -b {B} -c {F}/admin.properties"},
			{Name: "unregister", Tool: Tool, Args: "unregister --id 1 --bootstrap-server {B}"},
			{Name: "versions", Tool: APIVersionsTool, Args: "--bootstrap-server {B}"},
			{Name: "versions-with-config", Tool: APIVersionsTool, Args: "--bootstrap-server {B} --command-config {F}/admin.properties"},
			{Name: "unregister-not-allowed", Tool: Tool, Args: "unregister --id 1 --bootstrap-server {B}", Before: []toolreplay.Command{
				toolreplay.ACL("--cluster --operation ClusterAction --allow-principal User:ANONYMOUS"),
			}},
			{Name: "id-not-allowed", Tool: Tool, Args: "cluster-id --bootstrap-server {B}"},
		},
	})
}
