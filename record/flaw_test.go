package record

import (
	"testing"

	"github.com/monedula/monedula/protocol"
)

func TestFlawsOfRefusedRecordsAreThoseThatKafkaCounts(t *testing.T) {
	build := func(magic int8, change func(*Builder), keys ...[]byte) []byte {
		o := Defaults()
		o.Magic = magic
		b := NewBuilder(o)
		for _, key := range keys {
			if err := b.Append(1000, key, []byte("v")); err != nil {
				t.Fatal(err)
			}
		}
		if change != nil {
			change(b)
		}
		set, err := b.Build()
		if err != nil {
			t.Fatal(err)
		}
		return set
	}
	key := []byte("k")
	corrupt := build(2, nil, key)
	corrupt[len(corrupt)-1] ^= 1
	for _, c := range []struct {
		what string
		set  []byte
		want Flaws
	}{
		{"nothing is wrong", build(2, nil, key), Flaws{}},
		{"a checksum", corrupt, Flaws{WrongChecksum: 1}},
		{"a count of offsets", build(2, func(b *Builder) { b.OverrideLastOffset(7) }, key), Flaws{WrongOffset: 1}},
		{"different formats", append(build(0, nil, key), build(1, nil, key)...), Flaws{WrongMagic: 1}},
		{"two records without a key", build(2, nil, nil, key, nil), Flaws{MissingKey: 2}},
	} {
		checked, err := CheckAppend(c.set, Check{Origin: FromClient, MaxBatchSize: 1 << 20, TopicPartition: "t-0"})
		if err == nil {
			_, err = ValidateAndAssign(c.set, checked, Target{Magic: 2, KeepCodec: true, Compacted: true, Origin: FromClient, NowMs: 1000, ZstdAllowed: true,
				TimestampBeforeMax: 1 << 40, TimestampAfterMax: 1 << 40})
		}
		if got := FlawsOf(err); got != c.want || (err == nil) != (c.want == Flaws{}) {
			t.Errorf("%s: %v, flaws %v, want %v", c.what, err, got, c.want)
		}
	}
	if got := FlawsOf(protocol.MessageTooLarge); got != (Flaws{}) {
		t.Errorf("flaws %v of another error", got)
	}
}
