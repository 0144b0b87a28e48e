package metadata

import (
	"slices"
	"testing"
)

func TestListsOfBrokersAreConvertedWithoutCopying(t *testing.T) {
	numbers := []int32{3, 1, 2}
	ids := BrokerIDs(numbers)
	if !slices.Equal(ids, []BrokerID{3, 1, 2}) {
		t.Errorf("%v", ids)
	}
	numbers[0] = 7
	if back := Int32s(ids); ids[0] != 7 || &back[0] != &numbers[0] || len(back) != 3 || cap(back) != 3 {
		t.Errorf("%v and %v do not share the memory of %v", ids, back, numbers)
	}
	if BrokerIDs(nil) != nil || Int32s(nil) != nil {
		t.Error("no list became an empty list")
	}
	if BrokerIDs([]int32{}) == nil || Int32s([]BrokerID{}) == nil {
		t.Error("an empty list became none")
	}
}
