// Launches kernels on the arguments that standard input holds, as shim.py writes them.
#include <dlfcn.h>

#include <iostream>
#include <string>
#include <vector>

using Launcher = void (*)(void** arguments, long long count, int block, int threads);

// CUDA's volatile is a relaxed atomic (PTX ISA, memory consistency model). Compiled with
// --param tsan-distinguish-volatile=1, ThreadSanitizer asks here what it is.
extern "C" void __tsan_volatile_read4(int* at) { __atomic_load_n(at, __ATOMIC_RELAXED); }
extern "C" void __tsan_volatile_read8(long long* at) { __atomic_load_n(at, __ATOMIC_RELAXED); }

int main() {
    std::string name;
    long long count, size;
    int block, threads, arguments;
    while (std::cin >> name >> count >> block >> threads >> arguments) {
        auto launcher = (Launcher)dlsym(RTLD_DEFAULT, ("run_" + name).c_str());
        if (!launcher) return std::cerr << "no kernel " << name << "\n", 1;
        std::vector<std::vector<char>> contents(arguments);
        std::vector<void*> pointers(arguments), values(arguments);
        for (int k = 0; k < arguments; ++k) {
            char kind;  // v: a value, p: a pointer to these bytes, n: a null pointer
            std::cin >> kind >> size;
            std::cin.get();
            contents[k].resize(size);
            std::cin.read(contents[k].data(), size);
            pointers[k] = kind == 'n' ? nullptr : contents[k].data();
            values[k] = kind == 'v' ? contents[k].data() : (char*)&pointers[k];
        }
        launcher(values.data(), count, block, threads);
    }
    return std::cin.eof() ? 0 : 1;
}
