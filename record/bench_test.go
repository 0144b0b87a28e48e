package record

import (
	"bytes"
	"fmt"
	"testing"
)

// megabyte returns a batch of records of about 100 bytes with a decompressed size of 1 MiB.
func megabyte(b *testing.B, codec Codec) []byte {
	builder := NewBuilder(batchOf(2, codec))
	for i := 0; builder.Size() < 1<<20; i++ {
		value := fmt.Sprintf(`{"id":%d,"name":"user-%d","balance":%d,"active":true,"note":"abcdefgh%d"}`, i, i*7919%1000, i*104729%100_000, i%97)
		if err := builder.Append(nowMs+int64(i), []byte(fmt.Sprintf("key-%d", i)), []byte(value)); err != nil {
			b.Fatal(err)
		}
	}
	set, err := builder.Build()
	if err != nil {
		b.Fatal(err)
	}
	return set
}

func BenchmarkValidate(b *testing.B) {
	for codec := None; codec <= Zstd; codec++ {
		b.Run(codec.String(), func(b *testing.B) {
			original := megabyte(b, codec)
			set := bytes.Clone(original)
			target := plainTarget()
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				copy(set[:HeaderSize], original)
				if _, err := validateAndAssign(set, target); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRecompress(b *testing.B) {
	for codec := Gzip; codec <= Zstd; codec++ {
		b.Run("none to "+codec.String(), func(b *testing.B) {
			set := megabyte(b, None)
			target := plainTarget()
			target.KeepCodec, target.Codec = false, codec
			b.SetBytes(1 << 20)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := validateAndAssign(set, target); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCheckAppend(b *testing.B) {
	set := megabyte(b, None)
	b.SetBytes(int64(len(set)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := CheckAppend(set, Check{Origin: FromClient, TopicPartition: "t-0", MaxBatchSize: len(set)}); err != nil {
			b.Fatal(err)
		}
	}
}
