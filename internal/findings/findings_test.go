package findings

import (
	"bytes"
	"testing"
)

var some = []Finding{
	{Severity: Remark, Code: "odd", File: "b", Line: 2, Text: "this is odd"},
	{Severity: Error, Code: "wrong", File: "b", Line: 2, Text: "this is wrong", Cause: "it <was> never right", Remedy: "make it right:\nbin/right.sh"},
	{Severity: Warning, Code: "late", Subject: "broker 2", Text: "it is late"},
	{Severity: Error, Code: "empty", File: "b", Text: "the file is empty"},
}

func TestFindingsArePrintedWithCauseAndRemedy(t *testing.T) {
	list := append([]Finding(nil), some...)
	ByPlace(list)
	var out bytes.Buffer
	Print(&out, list)
	const want = `broker 2: warning: it is late [late]
b: error: the file is empty [empty]
b:2: error: this is wrong [wrong]
    cause:  it <was> never right
    remedy: make it right:
            bin/right.sh
b:2: remark: this is odd [odd]
`
	if out.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", out.String(), want)
	}
	BySeverity(list)
	if list[0].Code != "empty" || list[1].Code != "wrong" || list[3].Code != "odd" {
		t.Errorf("sorted: %v", list)
	}
}

func TestFindingsAreCountedAndPrintedAsJSON(t *testing.T) {
	r := NewReport(some[1:3])
	if got := r.Summary(); got != "1 error, 1 warning, no remarks" {
		t.Errorf("summary %q", got)
	}
	if got := NewReport(append(some, some...)).Summary(); got != "4 errors, 2 warnings, 2 remarks" {
		t.Errorf("summary %q", got)
	}
	for _, test := range []struct {
		report Report
		want   string
	}{
		{NewReport(nil), "{\n  \"errors\": 0,\n  \"warnings\": 0,\n  \"remarks\": 0,\n  \"findings\": []\n}\n"},
		{r, `{
  "errors": 1,
  "warnings": 1,
  "remarks": 0,
  "findings": [
    {
      "severity": "error",
      "code": "wrong",
      "file": "b",
      "line": 2,
      "text": "this is wrong",
      "cause": "it <was> never right",
      "remedy": "make it right:\nbin/right.sh"
    },
    {
      "severity": "warning",
      "code": "late",
      "subject": "broker 2",
      "text": "it is late"
    }
  ]
}
`},
	} {
		var out bytes.Buffer
		if err := PrintJSON(&out, test.report); err != nil || out.String() != test.want {
			t.Errorf("printed\n%s%v\nwant\n%s", out.String(), err, test.want)
		}
	}
}
