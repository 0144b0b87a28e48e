package server

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/monedula/monedula/tools/cli"
)

func runUncleanableWith(args ...string) (out, errs string, code int) {
	var stdout, stderr bytes.Buffer
	code = UncleanableTool.Run(&cli.Env{Stdout: &stdout, Stderr: &stderr}, args)
	return stdout.String(), stderr.String(), code
}

func TestUncleanablePartitionsArePrintedWithTheirReasons(t *testing.T) {
	page := `# TYPE monedula_storage_uncleanable_partition gauge
monedula_storage_uncleanable_partition{logDirectory="/d 2",topic="t",partition="3",reason="segment \"x\" \\ at 5, {odd}"} 1
kafka_log_log_size{topic="t",partition="3"} 9
monedula_storage_uncleanable_partition{logDirectory="/d1",partition="0",reason="corrupt",topic="a"} 1
`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, page)
	}))
	defer s.Close()
	address := strings.TrimPrefix(s.URL, "http://")
	want := "a-0 in /d1: corrupt\nt-3 in /d 2: segment \"x\" \\ at 5, {odd}\n"
	if out, errs, code := runUncleanableWith(address); out != want || errs != "" || code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	page = "monedula_storage_uncleanable_partition{topic=\"t\n"
	if _, errs, code := runUncleanableWith(address); code != 1 || !strings.Contains(errs, "is not a metric") {
		t.Errorf("a broken page: exit code %d, %s", code, errs)
	}
	if _, errs, code := runUncleanableWith(address + "/other"); code != 1 || !strings.Contains(errs, "404") {
		t.Errorf("no page: exit code %d, %s", code, errs)
	}
	s.Close()
	if _, errs, code := runUncleanableWith(address); code != 1 || !strings.Contains(errs, "cannot be read") {
		t.Errorf("no broker: exit code %d, %s", code, errs)
	}
	for _, args := range [][]string{nil, {"a", "b"}, {"--other"}} {
		if _, errs, code := runUncleanableWith(args...); code != 1 || !strings.Contains(errs, "USAGE") {
			t.Errorf("%q: exit code %d, %s", args, code, errs)
		}
	}
	if out, _, code := runUncleanableWith("--help"); code != 0 || !strings.Contains(out, "USAGE") {
		t.Errorf("--help: exit code %d, %s", code, out)
	}
}
