package settings

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// provider returns the value for ${name:path:key}.
type provider func(path, key string) (value string, found bool, err error)

// providerClasses are the providers of Kafka (KIP-297 and later) by class name.
var providerClasses = map[string]func(params map[string]string) (provider, error){
	"org.apache.kafka.common.config.provider.FileConfigProvider":      fileProvider,
	"org.apache.kafka.common.config.provider.DirectoryConfigProvider": directoryProvider,
	"org.apache.kafka.common.config.provider.EnvVarConfigProvider":    environmentProvider,
}

var placeholder = regexp.MustCompile(`\$\{([^}]*?):(?:([^}]*?):)?([^}]*?)\}`)

// resolvePlaceholders replaces ${provider:path:key} in the values for the providers listed in
// config.providers. The text stays as it is if the provider is not listed or does not have the key.
func resolvePlaceholders(values map[string]string) error {
	providers, err := providersOf(values)
	if err != nil || len(providers) == 0 {
		return err
	}
	for key, value := range values {
		resolved, err := resolve(value, providers)
		if err != nil {
			return &Problem{Key: key, Value: value, Text: err.Error()}
		}
		values[key] = resolved
	}
	return nil
}

func resolve(value string, providers map[string]provider) (string, error) {
	var failed error
	resolved := placeholder.ReplaceAllStringFunc(value, func(text string) string {
		m := placeholder.FindStringSubmatch(text)
		p := providers[m[1]]
		if p == nil || failed != nil {
			return text
		}
		found, ok, err := p(m[2], m[3])
		if err != nil {
			failed = err
		}
		if !ok {
			return text
		}
		return found
	})
	return resolved, failed
}

func providersOf(values map[string]string) (map[string]provider, error) {
	names := values["config.providers"]
	if names == "" {
		return nil, nil
	}
	providers := map[string]provider{}
	for _, name := range strings.Split(names, ",") {
		prefix := "config.providers." + name
		class, ok := values[prefix+".class"]
		if !ok {
			continue
		}
		build := providerClasses[class]
		if build == nil {
			return nil, invalid(prefix+".class", class, "Could not load config provider class or one of its dependencies")
		}
		params := map[string]string{}
		for key, value := range values {
			if param, ok := strings.CutPrefix(key, prefix+".param."); ok {
				params[param] = value
			}
		}
		p, err := build(params)
		if err != nil {
			return nil, &Problem{Key: prefix, Text: err.Error()}
		}
		providers[name] = p
	}
	return providers, nil
}

func fileProvider(params map[string]string) (provider, error) {
	allowed := allowedPaths(params)
	return func(path, key string) (string, bool, error) {
		if path == "" || !allowed(path) {
			return "", false, nil
		}
		entries, err := readProperties(path)
		if err != nil {
			return "", false, fmt.Errorf("Could not read properties from file %s", path)
		}
		e, ok := entries[key]
		return e.value, ok, nil
	}, nil
}

func directoryProvider(params map[string]string) (provider, error) {
	allowed := allowedPaths(params)
	return func(path, key string) (string, bool, error) {
		if path == "" || !allowed(path) || filepath.Base(key) != key {
			return "", false, nil
		}
		file := filepath.Join(path, key)
		if info, err := os.Stat(file); err != nil || !info.Mode().IsRegular() {
			return "", false, nil
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return "", false, fmt.Errorf("Could not read file %s for property %s", file, key)
		}
		return string(data), true, nil
	}, nil
}

// allowedPaths returns a function that reports whether a path is allowed by the provider's
// allowed.paths. Without that parameter all paths are allowed.
func allowedPaths(params map[string]string) func(path string) bool {
	list := params["allowed.paths"]
	if list == "" {
		return func(string) bool { return true }
	}
	return func(path string) bool {
		for _, root := range strings.Split(list, ",") {
			inside, err := filepath.Rel(filepath.Clean(root), filepath.Clean(path))
			if err == nil && inside != ".." && !strings.HasPrefix(inside, "../") {
				return true
			}
		}
		return false
	}
}

func environmentProvider(params map[string]string) (provider, error) {
	pattern := ".*"
	if p, ok := params["allowlist.pattern"]; ok {
		pattern = p
	}
	allowed, err := regexp.Compile("^(?:" + pattern + ")$")
	if err != nil {
		return nil, err
	}
	return func(path, key string) (string, bool, error) {
		if path != "" {
			return "", false, fmt.Errorf("Path is not supported for EnvVarConfigProvider, invalid value '%s'", path)
		}
		if !allowed.MatchString(key) {
			return "", false, nil
		}
		value, ok := os.LookupEnv(key)
		return value, ok, nil
	}, nil
}
