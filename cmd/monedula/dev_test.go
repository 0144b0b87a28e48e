package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/monedula/monedula/internal/testkit"
	"github.com/monedula/monedula/tools/cli"
)

func devPlanOf(args ...string) (*devPlan, error) {
	var out, errs bytes.Buffer
	return newDevOptions(&cli.Env{Stdout: &out, Stderr: &errs}).plan(args)
}

func TestDevBrokersHaveIdsAddressesAndFoldersOfTheirOwn(t *testing.T) {
	file := filepath.Join(t.TempDir(), "server.properties")
	if err := os.WriteFile(file, []byte("broker.id=7\nlog.dirs=/elsewhere\nnum.partitions=5\nlog.retention.hours=1\noffsets.topic.replication.factor=2\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, err := devPlanOf("--brokers", "3", "--dir", "/data", "--port", "10000", "--config", file, "--override", "num.partitions=6", "--override=default.replication.factor=2")
	if err != nil {
		t.Fatal(err)
	}
	for id := range 3 {
		c, err := p.config(id)
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]string{
			"broker.id": fmt.Sprint(id), "log.dirs": fmt.Sprintf("/data/broker-%d", id), "zookeeper.connect": "localhost:2181",
			"listeners": fmt.Sprintf("PLAINTEXT://localhost:%d", 10000+id), "advertised.listeners": fmt.Sprintf("PLAINTEXT://localhost:%d", 10000+id),
			"num.partitions": "6", "log.retention.hours": "1", "default.replication.factor": "2",
			"offsets.topic.replication.factor": "2", "transaction.state.log.replication.factor": "3", "transaction.state.log.min.isr": "2",
		} {
			if have := c.Originals()[key]; have != want {
				t.Errorf("broker %d: %s is %q, want %q", id, key, have, want)
			}
		}
	}
	if have, want := strings.Join(p.unused, " "), "broker.id log.dirs"; have != want {
		t.Errorf("unused keys %q, want %q", have, want)
	}
	if have, want := p.bootstrap(), "localhost:10000,localhost:10001,localhost:10002"; have != want {
		t.Errorf("%q, want %q", have, want)
	}
	p, err = devPlanOf("--host", "kafka.example")
	if err != nil {
		t.Fatal(err)
	}
	c, err := p.config(0)
	if err != nil || c.Originals()["listeners"] != "PLAINTEXT://:9092" || c.Originals()["advertised.listeners"] != "PLAINTEXT://kafka.example:9092" {
		t.Errorf("with a host: %v, %v", c.Originals(), err)
	}
}

func TestDevRefusesOptionsThatCannotWork(t *testing.T) {
	for args, want := range map[string]string{
		"--brokers 0":                     `--brokers: "0" is not a number from 1 to 100`,
		"--port none":                     `--port: "none" is not a number from 1 to 65535`,
		"--port 65535 --brokers 2":        "--port: the last broker would need port 65536",
		"--port 2180 --brokers 2":         "--zookeeper-port: port 2181 is already that of broker 1",
		"--override log.dirs=/x":          "--override: monedula dev sets log.dirs itself; use --dir",
		"--override x":                    `--override: "x" has no value; write key=value`,
		"--config /nosuch.properties":     "--config: open /nosuch.properties: no such file or directory",
		"start":                           `there is no argument "start"; monedula help dev lists the options`,
		"--dir a --dir b":                 "Found multiple arguments for option dir, but you asked for only one",
		"--brokrs 2":                      "brokrs is not a recognized option",
		"--override num.partitions=none ": "Invalid value none for configuration num.partitions",
	} {
		p, err := devPlanOf(strings.Fields(args)...)
		if err == nil {
			_, err = p.config(0)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", args, err, want)
		}
	}
}

func TestDevNamesTheProcessThatUsesAPort(t *testing.T) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", testkit.FreePort(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	dir := t.TempDir()
	out, errs, code := runIn("dev", "--dir", dir, "--port", fmt.Sprint(port), "--zookeeper-port", fmt.Sprint(testkit.FreePort(t)))
	want := fmt.Sprintf("monedula dev: port %d, of broker 0, is in use by process %d (monedula.test", port, os.Getpid())
	if code != 1 || out != "" || !strings.HasPrefix(errs, want) || !strings.Contains(errs, "choose another port with --port") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}
