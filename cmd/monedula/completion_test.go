package main

import (
	"strings"
	"testing"
)

func TestCompletionKnowsAllProgramsAndOptions(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, errs, code := runIn("completion", shell)
		if code != 0 || errs != "" {
			t.Fatalf("%s: exit code %d, %s", shell, code, errs)
		}
		for _, name := range names() {
			if !strings.Contains(out, name) {
				t.Errorf("%s: %s is missing", shell, name)
			}
		}
		for _, word := range []string{"kafka-topics.sh", "under-replicated-partitions", "json", "find-hanging", "max-transaction-timeout", "override", "zookeeper-port", "server"} {
			if !strings.Contains(out, word) {
				t.Errorf("%s: %s is missing", shell, word)
			}
		}
	}
	if out, _, _ := runIn("completion", "fish"); !strings.Contains(out, " -o server -r ") {
		t.Error("fish: an option with one dash is not completed as one")
	}
	for _, c := range completions() {
		if len(c.of("")) < 2 {
			t.Errorf("%s declares no options", c.Name)
		}
	}
	for _, args := range [][]string{{}, {"csh"}, {"bash", "zsh"}} {
		out, errs, code := runIn(append([]string{"completion"}, args...)...)
		if code != 1 || out != "" || !strings.Contains(errs, "USAGE: monedula completion bash|zsh|fish") {
			t.Errorf("%q: exit code %d, %q, %q", args, code, out, errs)
		}
	}
}
