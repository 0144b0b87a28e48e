package zkstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func TestErrorsOfAWholeBulkAreNotThoseOfANode(t *testing.T) {
	for err, want := range map[error]bool{
		ErrControllerMoved: true, ErrSessionExpired: true, ErrClosed: true, context.Canceled: true, context.DeadlineExceeded: true,
		ErrNoNode: false, ErrNodeExists: false, ErrBadVersion: false,
	} {
		if fatal(fmt.Errorf("wrapped: %w", err)) != want {
			t.Errorf("%v: fatal %v, want %v", err, !want, want)
		}
	}
}

// Every operation with the context of a session ends with the session, before it uses a connection.
func TestNoOperationOutlivesItsSession(t *testing.T) {
	s, sessions := NewSteppable(Config{})
	sessions.Begin(&scripted{})
	ctx := s.BindSession(t.Context())
	sessions.End()
	sessions.Begin(&scripted{}) // another session, which must not be used; a call on it would panic
	store, n := reflect.ValueOf(s), 0
	for i := range store.NumMethod() {
		method, name := store.Method(i), store.Type().Method(i).Name
		in, out := method.Type().NumIn(), method.Type().NumOut()
		if in == 0 || method.Type().In(0) != reflect.TypeFor[context.Context]() || out == 0 || method.Type().Out(out-1) != reflect.TypeFor[error]() {
			continue
		}
		args := []reflect.Value{reflect.ValueOf(ctx)}
		for j := range in - 1 {
			arg := reflect.New(method.Type().In(j + 1)).Elem()
			fill(arg)
			args = append(args, arg)
		}
		n++
		err, _ := method.Call(args)[out-1].Interface().(error)
		if !errors.Is(err, ErrSessionExpired) {
			t.Errorf("%s: %v, want %v", name, err, ErrSessionExpired)
		}
	}
	if n < 60 {
		t.Errorf("only %d operations", n)
	}
}

// fill gives a value one element and a valid name wherever it can have one.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString("topics")
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		key, elem := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key)
		fill(elem)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, elem)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	}
}
