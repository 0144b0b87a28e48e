package toolreplay

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// messageText encodes a request or response as JSON on one line. It leaves out fields that have
// their default value.
func messageText(message any) string {
	text, err := json.Marshal(tree(reflect.ValueOf(message).Elem()))
	if err != nil {
		panic(err) // a tree consists of maps, lists, strings and numbers
	}
	return string(text)
}

// parseMessage reads what messageText wrote into message, which has its version.
func parseMessage(text string, message any) error {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	return set(reflect.ValueOf(message).Elem(), value)
}

// meta reports whether a field does not belong to the message itself.
func meta(name string) bool { return name == "Version" || name == "UnknownTags" }

// tree converts a message to maps, lists, strings and numbers.
func tree(v reflect.Value) any {
	switch v.Kind() {
	case reflect.Struct:
		fields := map[string]any{}
		defaults := withDefaults(v.Type())
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			if !meta(name) && !reflect.DeepEqual(v.Field(i).Interface(), defaults.Field(i).Interface()) {
				fields[name] = tree(v.Field(i))
			}
		}
		return fields
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return tree(v.Elem())
	case reflect.Slice:
		if v.IsNil() {
			return nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return base64.StdEncoding.EncodeToString(v.Bytes())
		}
		list := []any{}
		for i := range v.Len() {
			list = append(list, tree(v.Index(i)))
		}
		return list
	case reflect.Array: // an id
		id := make([]byte, v.Len())
		reflect.Copy(reflect.ValueOf(id), v)
		return hex.EncodeToString(id)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return v.Int()
	default:
		return v.Interface()
	}
}

// set stores the value of a tree in v.
func set(v reflect.Value, value any) error {
	if value == nil {
		v.SetZero()
		return nil
	}
	mismatch := fmt.Errorf("%v cannot be stored in a %s", value, v.Type())
	switch v.Kind() {
	case reflect.Struct:
		fields, ok := value.(map[string]any)
		if !ok {
			return mismatch
		}
		if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
			d.Default()
		}
		for name, field := range fields {
			f := v.FieldByName(name)
			if !f.IsValid() {
				return fmt.Errorf("%s has no field %s", v.Type(), name)
			}
			if err := set(f, field); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		return nil
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return set(v.Elem(), value)
	case reflect.Slice:
		if text, ok := value.(string); ok && v.Type().Elem().Kind() == reflect.Uint8 {
			raw, err := base64.StdEncoding.DecodeString(text)
			v.SetBytes(raw)
			return err
		}
		items, ok := value.([]any)
		if !ok {
			return mismatch
		}
		v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
		for i, item := range items {
			if err := set(v.Index(i), item); err != nil {
				return err
			}
		}
		return nil
	case reflect.Array:
		text, ok := value.(string)
		raw, err := hex.DecodeString(text)
		if !ok || err != nil || len(raw) != v.Len() {
			return mismatch
		}
		reflect.Copy(v, reflect.ValueOf(raw))
		return nil
	}
	if number, ok := value.(json.Number); ok {
		switch {
		case v.CanInt():
			n, err := number.Int64()
			if err != nil || v.OverflowInt(n) {
				return mismatch
			}
			v.SetInt(n)
			return nil
		case v.CanFloat():
			n, err := number.Float64()
			v.SetFloat(n)
			return err
		}
		return mismatch
	}
	if !reflect.TypeOf(value).ConvertibleTo(v.Type()) {
		return mismatch
	}
	v.Set(reflect.ValueOf(value).Convert(v.Type()))
	return nil
}

// withDefaults returns a new struct whose fields have their default values.
func withDefaults(t reflect.Type) reflect.Value {
	v := reflect.New(t)
	if d, ok := v.Interface().(interface{ Default() }); ok {
		d.Default()
	}
	return v.Elem()
}

// setAddresses makes a response name the given addresses of brokers.
func setAddresses(resp kmsg.Response, address func(broker int32) (host string, port int32)) {
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		for i := range r.Brokers {
			b := &r.Brokers[i]
			b.Host, b.Port = address(b.NodeID)
		}
	case *kmsg.FindCoordinatorResponse:
		if r.ErrorCode == 0 {
			r.Host, r.Port = address(r.NodeID)
		}
		for i := range r.Coordinators {
			if c := &r.Coordinators[i]; c.ErrorCode == 0 {
				c.Host, c.Port = address(c.NodeID)
			}
		}
	case *kmsg.DescribeClusterResponse:
		for i := range r.Brokers {
			b := &r.Brokers[i]
			b.Host, b.Port = address(b.NodeID)
		}
	}
}

// recordedAddress returns the address of a broker in recordings.
func recordedAddress(broker int32) (host string, port int32) { return "127.0.0.1", 9092 + broker }
