package tree

import "testing"

func TestHardLimitsRefuseWritesIfTheyAreEnforced(t *testing.T) {
	for _, enforced := range []bool{true, false} {
		tr := New()
		tr.EnforceQuotas = enforced
		s := tr.Open(0, 1000)
		write := func(op Op, want error) {
			t.Helper()
			if !enforced {
				want = nil
			}
			if _, _, err := tr.Do(s, 0, op); err != want {
				t.Errorf("enforced %t, %+v: %v, want %v", enforced, op, err, want)
			}
		}
		for _, path := range []string{"/a", "/zookeeper/quota/a", "/zookeeper/quota/a/zookeeper_stats"} {
			write(Create{Path: path}, nil)
		}
		write(Create{Path: "/zookeeper/quota/a/zookeeper_limits", Data: []byte("count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=3")}, nil)
		write(Create{Path: "/a/1", Data: []byte("12345")}, nil)
		write(Create{Path: "/a/2", Data: []byte("123456")}, QuotaExceeded)
		write(Create{Path: "/ab", Data: []byte("not below the node")}, nil)
		write(Set{Path: "/a/1", Data: []byte("12345678901"), Version: AnyVersion}, QuotaExceeded)
		write(Create{Path: "/a/3"}, nil)
		write(Create{Path: "/a/4"}, QuotaExceeded)
		if enforced {
			if data, _, _ := tr.Peek("/zookeeper/quota/a/zookeeper_stats"); string(data) != "count=3,bytes=5" {
				t.Errorf("the statistics are %s", data)
			}
		}
	}
}
