// Package check examines the properties files of brokers: what Kafka refuses, keys without effect,
// contradictions, and values that are accepted but probably not meant. It reads nothing but the
// files and what their placeholders name.
package check

import (
	"errors"
	"strconv"
	"strings"

	"github.com/monedula/monedula/internal/findings"
	"github.com/monedula/monedula/settings"
)

// File is the properties file of a broker.
type File struct {
	Name string
	Data []byte
	// Overrides are the values of the command line. They take precedence over those of the file.
	Overrides map[string]string
}

// Files returns the findings of files that belong to brokers of one cluster, file by file and sorted
// by line. brokers is the number of brokers of the cluster; 0 means that it is the number of files or,
// if there is only one, unknown. refused are the names of the files with which a broker does not
// start.
func Files(files []File, brokers int) (list []findings.Finding, refused []string) {
	counted := brokers == 0 && len(files) > 1
	if counted {
		brokers = len(files)
	}
	var documents []*document
	for _, f := range files {
		d := newDocument(f, brokers)
		d.counted = counted
		d.check()
		documents = append(documents, d)
	}
	across(documents)
	for _, d := range documents {
		findings.ByPlace(d.found)
		list = append(list, d.found...)
		if len(d.refused) > 0 {
			refused = append(refused, d.Name)
		}
	}
	return list, refused
}

// AtStart returns the messages that a broker logs before it starts: the findings of its file that
// are not remarks. What the broker refuses is left out but for its remedy, because the broker
// reports it itself.
func AtStart(f File) (messages []string) {
	d := newDocument(f, 0)
	d.check()
	findings.ByPlace(d.found)
	for _, found := range d.found {
		text := found.Text
		switch {
		case found.Severity == findings.Remark, d.refused[found.Text] && found.Remedy == "":
			continue
		case d.refused[found.Text]:
			text = found.Remedy
		case found.Remedy != "":
			text = strings.TrimSuffix(text, ".") + ". " + found.Remedy
			text = strings.Replace(text, "?. ", "? ", 1)
		}
		if found.Line > 0 {
			text += " (" + found.File + ", line " + strconv.Itoa(found.Line) + ")"
		}
		messages = append(messages, strings.ReplaceAll(text, "\n", " "))
	}
	return messages
}

// document is a file that is being examined.
type document struct {
	File
	brokers int  // number of brokers of the cluster; 0: unknown
	counted bool // brokers is the number of files
	listed  []settings.Property
	given   map[string]settings.Property // the entry that applies, by key
	values  map[string]string            // as given, with placeholders resolved if the file can be loaded
	found   []findings.Finding
	refused map[string]bool // the texts of findings with which a broker does not start
}

func newDocument(f File, brokers int) *document {
	return &document{File: f, brokers: brokers, given: map[string]settings.Property{}, values: map[string]string{}, refused: map[string]bool{}}
}

// check examines the file on its own.
func (d *document) check() {
	if !d.readLines() || d.checkOtherProgram() {
		return
	}
	if d.load(); d.isGiven("process.roles") {
		d.replaceByKRaft()
		return
	}
	d.checkKeys()
	d.checkTexts()
	d.checkPlausible()
	d.checkListeners()
	d.checkZooKeeper()
	d.checkDirectories()
	d.checkRetention()
	d.checkSizes()
	d.checkReplication()
	d.checkGroups()
}

// readLines reads the entries and reports whether the file is a properties file.
func (d *document) readLines() bool {
	if !d.checkFormat() {
		return false
	}
	listed, err := settings.ParseProperties(d.Data, d.Name)
	var syntax *settings.SyntaxError
	if errors.As(err, &syntax) {
		d.add(findings.Finding{Severity: findings.Error, Code: "bad-escape", File: d.Name, Line: syntax.Line, Text: syntax.Reason,
			Remedy: `Write \\ for a backslash.`})
		return false
	}
	d.listed = listed
	for _, p := range listed {
		d.given[p.Key], d.values[p.Key] = p, p.Value
	}
	for key, value := range d.Overrides {
		d.given[key], d.values[key] = settings.Property{Key: key, Value: value}, value
	}
	return true
}

// load loads the file as a broker does, and adds what the broker refuses.
func (d *document) load() {
	c, err := settings.LoadFrom(d.Data, d.Name, d.Overrides)
	if err == nil {
		for key, text := range c.Originals() {
			d.values[key] = text
		}
		err = settings.CheckSupported(c)
	}
	if err == nil {
		return
	}
	refused := []error{err}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		refused = joined.Unwrap()
	}
	for _, err := range refused {
		d.addRefusal(err)
	}
}

func (d *document) add(f findings.Finding) { d.found = append(d.found, f) }

// note is a finding about a key whose severity is given by the function that adds it.
type note struct{ code, text, remedy string }

func (d *document) error(key string, n note)  { d.report(findings.Error, key, n) }
func (d *document) warn(key string, n note)   { d.report(findings.Warning, key, n) }
func (d *document) remark(key string, n note) { d.report(findings.Remark, key, n) }

func (d *document) report(severity findings.Severity, key string, n note) {
	f := findings.Finding{Severity: severity, Code: n.code, File: d.Name, Line: d.given[key].Line, Text: n.text, Remedy: n.remedy}
	if _, overridden := d.Overrides[key]; overridden {
		f.File, f.Subject = "", "--override "+key
	}
	d.add(f)
}

// isGiven reports whether the file sets the key.
func (d *document) isGiven(key string) bool {
	_, given := d.given[key]
	return given
}

// text returns the value of a key: the given one, or else the default. It returns "" for null.
func (d *document) text(key string) string {
	if text, given := d.values[key]; given {
		return strings.TrimSpace(text)
	}
	text, _ := known(key).DefaultText()
	return text
}

// number returns the value of a numeric key. ok is false if it is null or not a number.
func (d *document) number(key string) (n int64, ok bool) {
	text, given := d.values[key]
	if !given {
		if text, given = known(key).DefaultText(); !given {
			return 0, false
		}
	}
	value, err := known(key).Parse(text)
	if err != nil {
		return 0, false
	}
	switch v := value.(type) {
	case int16:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

// numbers returns the values of several numeric keys. ok is false if one has none.
func (d *document) numbers(keys ...string) (values []int64, ok bool) {
	for _, key := range keys {
		n, ok := d.number(key)
		if !ok {
			return nil, false
		}
		values = append(values, n)
	}
	return values, true
}

// is reports whether the value of a boolean key is value.
func (d *document) is(key string, value bool) bool {
	return strings.EqualFold(d.text(key), map[bool]string{true: "true", false: "false"}[value])
}

// list returns the elements of a list without those that are empty.
func (d *document) list(key string) []string { return split(d.text(key)) }

func split(text string) []string {
	var list []string
	for _, element := range strings.Split(text, ",") {
		if element = strings.TrimSpace(element); element != "" {
			list = append(list, element)
		}
	}
	return list
}

// known returns the row of a key that the code names. It panics if there is none, so the key must
// not come from a file. TestTheKeysThatTheCodeNamesExist finds such names.
func known(key string) *settings.Key {
	k := settings.LookupAny(key)
	if k == nil {
		panic("check: no key is called " + key)
	}
	return k
}
