package main

import (
	"strings"
	"testing"
)

// After a timeout or a panic of a package, the test that was running has no result. It is shown and
// counted as failed.
func TestATestThatNeverEndedIsShownAndCounted(t *testing.T) {
	events := `{"Action":"output","Package":"p","Test":"TestDone","Output":"=== RUN TestDone\n"}
{"Action":"pass","Package":"p","Test":"TestDone","Elapsed":1}
{"Action":"output","Package":"p","Test":"TestHangs","Output":"panic: test timed out after 3s\n"}
{"Action":"output","Package":"p","Output":"FAIL\tp\t3.0s\n"}
{"Action":"fail","Package":"p","Elapsed":3}
`
	var out, kept strings.Builder
	report(strings.NewReader(events), &out, &kept)
	if !strings.Contains(out.String(), "panic: test timed out") {
		t.Errorf("printed %q", out.String())
	}
	for _, want := range []string{`"Action":"pass","Package":"p","Test":"TestDone"`, `"Action":"fail","Package":"p","Test":"TestHangs"`} {
		if !strings.Contains(kept.String(), want) {
			t.Errorf("kept %q without %q", kept.String(), want)
		}
	}
}
