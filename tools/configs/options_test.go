package configs

import (
	"reflect"
	"testing"
)

func TestPairsAreSplitOutsideBrackets(t *testing.T) {
	have := splitOutsideBrackets("a=[x,y],b=1,c=[k=v,l=w],d=", ',')
	if want := []string{"a=[x,y]", "b=1", "c=[k=v,l=w]", "d="}; !reflect.DeepEqual(have, want) {
		t.Errorf("%q", have)
	}
	if have := splitOutsideBrackets("c=[k=v,l=w]", '='); !reflect.DeepEqual(have, []string{"c", "[k=v,l=w]"}) {
		t.Errorf("%q", have)
	}
}
