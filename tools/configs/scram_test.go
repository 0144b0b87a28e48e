package configs

import (
	"encoding/base64"
	"strings"
	"testing"
)

// The expected credentials are those that a real 3.9.1 broker stored for the password "secret".
func TestStoredCredentialsMatchARealBroker(t *testing.T) {
	for name, want := range map[string]string{
		"SCRAM-SHA-512": "salt=MWZrZW8xMWFwMmJmNmw4YTM4aXlpaGtzZmk=,stored_key=ezNBv8IthYEvPg5c10/Iqv/JkMwJFS21ZUf9ZilPLtw/UcOvb08Hp5vN0btoCSHnSPnstLPcAfEe84uvqUto4g==,server_key=Ty04j4/45VD5c6VIu6u3KUj8rpe7PxUga3cYr4VvQsW0wr4qZx2YctTwv8R+dgUv49eED2NtVbXSYN9tDCvvEw==,iterations=4096",
		"SCRAM-SHA-256": "salt=MWluYmV6YjRxajY5ZTB1ZXR5MzM3MjdrYTQ=,stored_key=Khzy2fVnXNoFK0lW/TbpoD7elsKREwJg6/pGgLA1Uow=,server_key=MQgWDQfYtST4PWMvt7hyvYJ0os833EJdstTXE+2XOww=,iterations=4096",
	} {
		in64, _, _ := strings.Cut(strings.TrimPrefix(want, "salt="), ",")
		salt, err := base64.StdEncoding.DecodeString(in64)
		if err != nil {
			t.Fatal(err)
		}
		have, err := scramMechanisms[name].stored("secret", salt, 4096)
		if err != nil || have != want {
			t.Errorf("%s: %v\n%s\nnot\n%s", name, err, have, want)
		}
	}
}

func TestCredentialsAreParsed(t *testing.T) {
	m := scramMechanisms["SCRAM-SHA-256"]
	for text, want := range map[string]struct {
		iterations int
		password   string
		problem    string
	}{
		"password=secret":                  {iterations: 4096, password: "secret"},
		"iterations=8192,password=a,b=c":   {iterations: 8192, password: "a,b=c"},
		"iterations=-1,password=x":         {iterations: 4096, password: "x"},
		"iterations=10,password=x":         {problem: "Iterations 10 is less than the minimum 4096 required for SCRAM-SHA-256"},
		"iterations=99999999999,password=": {problem: `For input string: "99999999999"`},
		"secret":                           {problem: "Invalid credential property SCRAM_SHA_256=secret"},
	} {
		iterations, password, err := m.parse("SCRAM-SHA-256", text, "SCRAM-SHA-256")
		if want.problem != "" {
			if err == nil || err.Error() != want.problem {
				t.Errorf("%q: %v", text, err)
			}
			continue
		}
		if err != nil || iterations != want.iterations || password != want.password {
			t.Errorf("%q: %d iterations, password %q, %v", text, iterations, password, err)
		}
	}
}
