package api

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/protocol"
)

// ErrorCounter counts the codes in answers for metrics. As in Kafka, every code of an answer counts,
// None too: those of all partitions, groups and resources. It must return at once.
type ErrorCounter func(key protocol.APIKey, code protocol.ErrorCode, n int64)

// codeTally counts the codes of one answer. It collects None, the usual code.
type codeTally struct {
	count ErrorCounter
	key   protocol.APIKey
	none  int64
}

// tally returns a tally for the answer to c, or false if codes are not counted.
func (c *Call) tally() (codeTally, bool) {
	return codeTally{count: c.countErrors, key: c.Key}, c.countErrors != nil
}

func (t *codeTally) add(code protocol.ErrorCode) {
	if code == protocol.None {
		t.none++
		return
	}
	t.count(t.key, code, 1)
}

// done counts what was collected.
func (t *codeTally) done() {
	if t.none > 0 {
		t.count(t.key, protocol.None, t.none)
	}
}

// codeFields describes where a type of answers, or of their entries, has codes.
type codeFields struct {
	codes []int // indexes of fields
	lists []codeList
}

// codeList is a list whose entries have codes.
type codeList struct {
	field int
	entry codeFields
}

// codeFieldsOf derives the description from a struct type.
func codeFieldsOf(t reflect.Type) (c codeFields) {
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Name == "ErrorCode" && f.Type.Kind() == reflect.Int16:
			c.codes = append(c.codes, i)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			if entry := codeFieldsOf(f.Type.Elem()); len(entry.codes)+len(entry.lists) > 0 {
				c.lists = append(c.lists, codeList{i, entry})
			}
		}
	}
	return c
}

// add adds the codes in a value of the type to the tally.
func (c *codeFields) add(v reflect.Value, t *codeTally) {
	for _, i := range c.codes {
		t.add(protocol.ErrorCode(v.Field(i).Int()))
	}
	for i := range c.lists {
		list := v.Field(c.lists[i].field)
		for j := range list.Len() {
			c.lists[i].entry.add(list.Index(j), t)
		}
	}
}

// answerCodes returns the description of the answers of an API, nil if kmsg does not have the API.
func answerCodes(key protocol.APIKey) *codeFields {
	req := kmsg.RequestForKey(int16(key))
	if req == nil {
		return nil
	}
	c := codeFieldsOf(reflect.TypeOf(req.ResponseKind()).Elem())
	return &c
}

// countCodes counts the codes of an answer.
func (c *Call) countCodes(resp kmsg.Response) {
	t, counted := c.tally()
	if !counted || c.handler.codes == nil {
		return
	}
	c.handler.codes.add(reflect.ValueOf(resp).Elem(), &t)
	t.done()
}
