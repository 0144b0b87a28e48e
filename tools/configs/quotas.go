package configs

import (
	"crypto/rand"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/monedula/monedula/internal/javatext"
	"github.com/monedula/monedula/protocol"
	"github.com/monedula/monedula/settings"
	"github.com/monedula/monedula/tools/cli"
	"github.com/monedula/monedula/tools/client"
)

// This file handles the quotas of users, clients and IP addresses and the SCRAM credentials of
// users, with --bootstrap-server.

// quotaTypes maps entity types to their names in quota requests and in the output.
var quotaTypes = []struct{ option, wire, shown string }{
	{typeUsers, "user", "user-principal"}, {typeClients, "client-id", "client-id"}, {typeIPs, "ip", "ip"},
}

func wireType(option string) string {
	for _, t := range quotaTypes {
		if t.option == option {
			return t.wire
		}
	}
	return option
}

// quotas are the quotas of an entity.
type quotas struct {
	entity map[string]*string
	values map[string]float64
}

// hash returns the hash code of ClientQuotaEntity in Kafka's client.
func (q quotas) hash() int32 {
	h := int32(31)
	for kind, name := range q.entity {
		n := int32(0)
		if name != nil {
			n = javatext.StringHash(*name)
		}
		h += javatext.StringHash(kind) ^ n
	}
	return h
}

// describeQuotas returns the quotas of the entities with exactly these types.
func (a *configsAdmin) describeQuotas(types, names []string) ([]quotas, error) {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = true
	for i, t := range types {
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		c.EntityType, c.MatchType = wireType(t), kmsg.QuotasMatchTypeAny
		if i < len(names) {
			if name := names[i]; name != "" {
				c.MatchType, c.Match = kmsg.QuotasMatchTypeExact, &name
			} else {
				c.MatchType = kmsg.QuotasMatchTypeDefault
			}
		}
		req.Components = append(req.Components, c)
	}
	if len(names) > len(types) {
		return nil, cli.IllegalArgument("More entity names specified than entity types")
	}
	resp, err := a.Send("describeClientQuotas", client.AnyBroker, req, 1, nil)
	if err != nil {
		return nil, client.Execution(err)
	}
	answer := resp.(*kmsg.DescribeClientQuotasResponse)
	if answer.ErrorCode != 0 {
		return nil, client.Execution(client.Refusal(answer.ErrorCode, answer.ErrorMessage))
	}
	var all []quotas
	for _, entry := range answer.Entries {
		q := quotas{map[string]*string{}, map[string]float64{}}
		for _, e := range entry.Entity {
			q.entity[e.Type] = e.Name
		}
		for _, v := range entry.Values {
			q.values[v.Key] = v.Value
		}
		all = append(all, q)
	}
	return javatext.SizedHashMapOrder(all, quotas.hash), nil
}

func (a *configsAdmin) describeQuotasAndCredentials(types, names []string) error {
	all, err := a.describeQuotas(types, names)
	if err != nil {
		return err
	}
	for _, q := range all {
		if a.WantsDocument() {
			a.addDescribed(q.names(), q.configs())
			continue
		}
		var of, values []string
		for _, t := range quotaTypes {
			if name, found := q.entity[t.wire]; found && name != nil {
				of = append(of, fmt.Sprintf("%s '%s'", t.shown, *name))
			} else if found {
				of = append(of, "the default "+t.shown)
			}
		}
		// Kafka's client creates the hash table with the number of values as its size.
		for _, key := range javatext.HashMapCopyOrder(slices.Sorted(maps.Keys(q.values)), javatext.StringHash) {
			values = append(values, key+"="+javatext.Double(q.values[key]))
		}
		a.say("Quota configs for %s are %s\n", strings.Join(of, ", "), strings.Join(values, ", "))
	}
	if slices.Contains(types, typeUsers) && !slices.Contains(types, typeClients) && !slices.Contains(names, "") {
		return a.describeCredentials(names)
	}
	return nil
}

func (a *configsAdmin) describeCredentials(users []string) error {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	for _, user := range users {
		u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
		u.Name = user
		req.Users = append(req.Users, u)
	}
	resp, err := a.Send("describeUserScramCredentials", client.AnyBroker, req, 0, nil)
	if err != nil {
		return client.Execution(err)
	}
	answer := resp.(*kmsg.DescribeUserSCRAMCredentialsResponse)
	if answer.ErrorCode != 0 {
		return client.Execution(client.Refusal(answer.ErrorCode, answer.ErrorMessage))
	}
	for _, r := range answer.Results {
		switch protocol.ErrorCode(r.ErrorCode) {
		case protocol.ResourceNotFound:
		case protocol.None:
			if a.WantsDocument() {
				a.addDescribed([]entityName{nameOf(typeUsers, r.User)}, credentials(r.CredentialInfos))
				continue
			}
			var shown []string
			for _, c := range r.CredentialInfos {
				shown = append(shown, fmt.Sprintf("%s=iterations=%d", scramName(c.Mechanism), c.Iterations))
			}
			a.say("SCRAM credential configs for user-principal '%s' are %s\n", r.User, strings.Join(shown, ", "))
		default:
			err := client.Refusal(r.ErrorCode, r.ErrorMessage)
			a.say("Error retrieving SCRAM credential configs for user-principal '%s': ExecutionException: %s\n", r.User, cli.ExceptionText(cli.JavaClass(err), err.Error()))
		}
	}
	return nil
}

// alterUserOrClient changes the quotas of users or clients, or the credentials of a user.
func (a *configsAdmin) alterUserOrClient(added map[string]string, deleted []string) error {
	keys := javatext.HashMapOrder(slices.Sorted(maps.Keys(added)), javatext.StringHash)
	isQuota := settings.IsClientQuota
	isScram := func(key string) bool { return scramMechanisms[key].number != 0 }
	neither := func(key string) bool { return !isQuota(key) && !isScram(key) }
	quotas := slices.ContainsFunc(keys, isQuota) || slices.ContainsFunc(deleted, isQuota)
	scram := slices.ContainsFunc(keys, isScram) || slices.ContainsFunc(deleted, isScram)
	if a.types()[0] == typeClients || len(a.types()) == 2 {
		if bad := append(filtered(keys, neither), filtered(keys, isScram)...); len(bad) > 0 {
			return cli.IllegalArgument("Only quota configs can be added for 'clients' using --bootstrap-server. Unexpected config names: " + javatext.Collection("Set", bad))
		}
		if bad := append(filtered(deleted, neither), filtered(deleted, isScram)...); len(bad) > 0 {
			return cli.IllegalArgument("Only quota configs can be deleted for 'clients' using --bootstrap-server. Unexpected config names: " + javatext.Collection("ArrayBuffer", bad))
		}
	} else {
		if bad := filtered(keys, neither); len(bad) > 0 {
			return cli.IllegalArgument("Only quota and SCRAM credential configs can be added for 'users' using --bootstrap-server. Unexpected config names: " + javatext.Collection("Set", bad))
		}
		if bad := filtered(deleted, neither); len(bad) > 0 {
			return cli.IllegalArgument("Only quota and SCRAM credential configs can be deleted for 'users' using --bootstrap-server. Unexpected config names: " + javatext.Collection("ArrayBuffer", bad))
		}
		switch {
		case scram && slices.Contains(a.names(), ""):
			return cli.IllegalArgument("The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using --bootstrap-server.")
		case scram && quotas:
			return cli.IllegalArgument("Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using --bootstrap-server.")
		}
	}
	if quotas {
		return a.alterQuotas(added, deleted)
	}
	return a.alterCredentials(a.names()[0], added, deleted)
}

func (a *configsAdmin) alterIP(added map[string]string, deleted []string) error {
	unexpected := func(key string) bool { return !settings.IsAddressQuota(key) }
	if bad := filtered(append(slices.Sorted(maps.Keys(added)), deleted...), unexpected); len(bad) > 0 {
		return cli.IllegalArgument("Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config names: " + strings.Join(bad, ","))
	}
	return a.alterQuotas(added, deleted)
}

func filtered(keys []string, want func(string) bool) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !want(key) })
}

func (a *configsAdmin) alterQuotas(added map[string]string, deleted []string) error {
	types, names := a.types(), a.names()
	old, err := a.describeQuotas(types, names)
	if err != nil {
		return err
	}
	err = requireSet(deleted, func(key string) bool {
		if len(old) == 0 {
			return false
		}
		_, found := old[0].values[key]
		return found
	})
	if err != nil {
		return err
	}
	entry := kmsg.NewAlterClientQuotasRequestEntry()
	for i, t := range types {
		e := kmsg.NewAlterClientQuotasRequestEntryEntity()
		e.Type = wireType(t)
		if name := names[i]; name != "" {
			e.Name = &name
		}
		entry.Entity = append(entry.Entity, e)
	}
	for _, key := range slices.Sorted(maps.Keys(added)) {
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key = key
		if op.Value, err = strconv.ParseFloat(strings.TrimSpace(added[key]), 64); err != nil {
			return cli.IllegalArgument(fmt.Sprintf("Cannot parse quota configuration value for %s: %s", key, added[key]))
		}
		entry.Ops = append(entry.Ops, op)
	}
	for _, key := range deleted {
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Remove = key, true
		entry.Ops = append(entry.Ops, op)
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	req.Entries = append(req.Entries, entry)
	resp, err := a.Send("alterClientQuotas", client.AnyBroker, req, 1, nil)
	if err != nil {
		return client.Execution(err)
	}
	for _, answer := range resp.(*kmsg.AlterClientQuotasResponse).Entries {
		if answer.ErrorCode != 0 {
			return client.Execution(client.Refusal(answer.ErrorCode, answer.ErrorMessage))
		}
	}
	return nil
}

// alterCredentials sets and deletes SCRAM credentials. It sends salted and hashed passwords.
func (a *configsAdmin) alterCredentials(user string, added map[string]string, deleted []string) error {
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for _, name := range deleted {
		d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
		d.Name, d.Mechanism = user, scramMechanisms[name].number
		req.Deletions = append(req.Deletions, d)
	}
	for _, name := range slices.Sorted(maps.Keys(added)) {
		m := scramMechanisms[name]
		iterations, password, err := m.parse(name, added[name], name)
		if err != nil {
			return err
		}
		u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
		u.Name, u.Mechanism, u.Iterations, u.Salt = user, m.number, int32(iterations), newSalt()
		if u.SaltedPassword, err = m.salted(password, u.Salt, iterations); err != nil {
			return err
		}
		req.Upsertions = append(req.Upsertions, u)
	}
	resp, err := a.Send("alterUserScramCredentials", client.Controller, req, 0, func(r kmsg.Response) protocol.ErrorCode {
		for _, result := range r.(*kmsg.AlterUserSCRAMCredentialsResponse).Results {
			return protocol.ErrorCode(result.ErrorCode)
		}
		return protocol.None
	})
	if err != nil {
		return client.Execution(err)
	}
	for _, result := range resp.(*kmsg.AlterUserSCRAMCredentialsResponse).Results {
		if result.ErrorCode != 0 {
			return client.Execution(client.Refusal(result.ErrorCode, result.ErrorMessage))
		}
	}
	return nil
}

// newSalt returns 130 random bits in base 36, like Kafka's salts.
func newSalt() []byte {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 130))
	if err != nil {
		panic(err) // the system has no source of randomness
	}
	return []byte(n.Text(36))
}
