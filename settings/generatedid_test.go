package settings

import "testing"

func TestAGeneratedIDSurvivesADynamicChange(t *testing.T) {
	static, err := FromMap(map[string]string{"zookeeper.connect": "localhost:2181"})
	if err != nil {
		t.Fatal(err)
	}
	d := NewDynamic(static.WithBrokerID(1001))
	if _, err := d.ApplyDefault(map[string]string{"message.max.bytes": "2000000"}); err != nil {
		t.Fatal(err)
	}
	if id := d.Current().BrokerID(); id != 1001 {
		t.Errorf("broker.id is %d", id)
	}
	if n := MessageMaxBytes.Of(d.Current()); n != 2000000 {
		t.Errorf("message.max.bytes is %d", n)
	}
}
