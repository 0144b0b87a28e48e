package api

import (
	"reflect"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// errorAnswer returns the answer to a request that failed as a whole: the default one, completed by
// the handler's Fail. It returns nil if the request has no answer and the connection must be closed.
//
// The default answer has the code and, if its type has one, the message at the top level. With
// PerEntry it also repeats the entries of the request, down to the innermost list, each with the
// code and the message.
func (h *Handler) errorAnswer(req kmsg.Request, err error, throttleMs int32) kmsg.Response {
	resp := req.ResponseKind()
	from, to := reflect.ValueOf(req).Elem(), reflect.ValueOf(resp).Elem()
	e := newErrorEntry(from.Type(), to.Type(), h.PerEntry)
	code, message := codeAndMessage(err)
	e.fill(from, to, failure{reflect.ValueOf(code), reflect.ValueOf(message)})
	if h.Fail != nil {
		resp = h.Fail(req, resp, err)
	}
	if t, ok := resp.(kmsg.SetThrottleResponse); ok && !h.Unthrottled {
		t.SetThrottle(throttleMs)
	}
	return resp
}

// refusal returns the answer to a request that was not decoded, or nil if its type has a code for
// each entry: an answer without entries could be taken for a success.
func (h *Handler) refusal(version int16, err error) kmsg.Response {
	req := kmsg.RequestForKey(int16(h.Key))
	if req == nil || h.PerEntry {
		return nil
	}
	req.SetVersion(version)
	return h.errorAnswer(req, err, 0)
}

// completed returns a Handler.Fail for an API's own types: complete changes the default answer.
func completed[R kmsg.Request, S kmsg.Response](complete func(req R, resp S, err error)) func(kmsg.Request, kmsg.Response, error) kmsg.Response {
	return func(req kmsg.Request, resp kmsg.Response, err error) kmsg.Response {
		complete(req.(R), resp.(S), err)
		return resp
	}
}

// errorEntry describes how an error answer, or an entry of one, is made from the request or the
// entry that it repeats. It is derived from their types.
type errorEntry struct {
	code, message int         // indexes of fields in the answer; -1: it has none
	names         []fieldPair // the fields that identify an entry
	lists         []errorList
}

// fieldPair has the indexes of a field in the request and in the answer.
type fieldPair struct{ from, to int }

// errorList is a list in the request that a list of the answer repeats.
type errorList struct {
	fieldPair
	entry *errorEntry
}

// entryNames are the fields that identify an entry of a list. They have the same names in requests
// and answers.
var entryNames = []string{"Topic", "TopicID", "Partition", "Group", "ProducerID", "ResourceType", "ResourceName", "Type", "Name"}

// newErrorEntry derives the description from the types of a request and its answer. Without lists,
// entries are not repeated.
func newErrorEntry(from, to reflect.Type, lists bool) *errorEntry {
	e := &errorEntry{code: fieldOf(to, "ErrorCode", reflect.TypeFor[int16]()), message: fieldOf(to, "ErrorMessage", reflect.TypeFor[*string]())}
	for i := 0; lists && i < to.NumField(); i++ {
		f := to.Field(i)
		asked, ok := from.FieldByName(f.Name)
		if !ok || f.Type.Kind() != reflect.Slice || f.Type.Elem().Kind() != reflect.Struct || asked.Type.Kind() != reflect.Slice {
			continue
		}
		e.lists = append(e.lists, errorList{fieldPair{asked.Index[0], i}, newListEntry(asked.Type.Elem(), f.Type.Elem(), f.Name)})
	}
	return e
}

// newListEntry is like newErrorEntry, for the entries of a list. If the request lists values
// instead of structs, such as Groups, each value becomes the field Group of an entry of the answer.
func newListEntry(from, to reflect.Type, list string) *errorEntry {
	if from.Kind() != reflect.Struct {
		e := newErrorEntry(to, to, false)
		if i := fieldOf(to, strings.TrimSuffix(list, "s"), from); i >= 0 {
			e.names = []fieldPair{{-1, i}}
		}
		return e
	}
	e := newErrorEntry(from, to, true)
	for _, name := range entryNames {
		if f, ok := to.FieldByName(name); ok {
			if i := fieldOf(from, name, f.Type); i >= 0 {
				e.names = append(e.names, fieldPair{i, f.Index[0]})
			}
		}
	}
	return e
}

// fieldOf returns the index of the field with the name and the type, or -1.
func fieldOf(t reflect.Type, name string, of reflect.Type) int {
	if f, ok := t.FieldByName(name); ok && f.Type == of {
		return f.Index[0]
	}
	return -1
}

// failure has the code and the message of an error as values for the fields of an answer.
type failure struct{ code, message reflect.Value }

// fill fills in an answer or an entry of one.
func (e *errorEntry) fill(from, to reflect.Value, f failure) {
	if e.code >= 0 {
		to.Field(e.code).Set(f.code)
	}
	if e.message >= 0 {
		to.Field(e.message).Set(f.message)
	}
	for _, n := range e.names {
		name := from
		if n.from >= 0 {
			name = from.Field(n.from)
		}
		to.Field(n.to).Set(name)
	}
	for _, l := range e.lists {
		asked, list := from.Field(l.from), to.Field(l.to)
		list.Set(reflect.MakeSlice(list.Type(), asked.Len(), asked.Len()))
		for i := range asked.Len() {
			entry := list.Index(i)
			entry.Addr().Interface().(interface{ Default() }).Default()
			l.entry.fill(asked.Index(i), entry, f)
		}
	}
}
