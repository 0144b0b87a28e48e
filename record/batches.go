package record

import "iter"

// Batches iterates over the complete entries of a set. It ends at an incomplete one. If the size of
// an entry is below the minimum or its magic above 2, the last pair is a nil Batch and an error that
// wraps protocol.CorruptMessage.
func Batches(set []byte) iter.Seq2[Batch, error] {
	return func(yield func(Batch, error) bool) {
		for rest := set; ; {
			b, tail, err := Next(rest)
			if err != nil {
				yield(nil, err)
				return
			}
			if b == nil || !yield(b, nil) {
				return
			}
			rest = tail
		}
	}
}

// First returns the first entry of a set, nil if it is incomplete. The error is that of Batches.
func First(set []byte) (Batch, error) {
	b, _, err := Next(set)
	return b, err
}
