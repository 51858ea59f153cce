//! A function in executable memory: a Cranelift module of its own, given back when it is dropped.

use crate::{compile, native};
use cranelift::codegen::{
    Context, FinalizedRelocTarget,
    ir::{ExternalName, LibCall, UserExternalName},
    isa::OwnedTargetIsa,
};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, Linkage, Module, ModuleError};
use fusewire_runtime::error::Error;
use parking_lot::Mutex;

/// The machine code of a phase's function.
pub(crate) struct Code {
    /// Some until it is dropped. Locked by nobody; a module may move between threads, but is not made for sharing.
    module: Mutex<Option<JITModule>>,
    bytes: usize,
    /// Where the function begins; an address as a number, for sharing between threads.
    address: usize,
}

impl Code {
    /// Compiles the function in a context for a machine, and puts it into memory.
    pub fn new(name: &str, isa: &OwnedTargetIsa, context: &mut Context) -> Result<Code, Error> {
        let names = Box::new(|call: LibCall| call.to_string());
        let mut builder = JITBuilder::with_isa(isa.clone(), names);
        builder.symbol_lookup_fn(Box::new(native::address));
        let mut code = Code { module: Mutex::new(Some(JITModule::new(builder))), bytes: 0, address: 0 };
        let function = code.define(name, context)?;
        let module = code.module.get_mut().as_mut().expect("a module until it is dropped");
        module.finalize_definitions().map_err(internal)?;
        code.address = module.get_finalized_function(function).expose_provenance();
        Ok(code)
    }

    fn define(&mut self, name: &str, context: &mut Context) -> Result<FuncId, Error> {
        let module = self.module.get_mut().as_mut().expect("a module until it is dropped");
        // The emitter names native functions in plain text; a module numbers what it imports.
        let function = &mut context.func;
        let natives: Vec<_> = function.dfg.ext_funcs.keys().collect();
        for native in natives {
            let callee = &function.dfg.ext_funcs[native];
            let ExternalName::TestCase(name) = &callee.name else { continue };
            let name = String::from_utf8_lossy(name.raw()).into_owned();
            if native::address(&name).is_none() {
                return Err(Error::Internal(format!("compiled code calls {name}")));
            }
            let signature = &function.dfg.signatures[callee.signature];
            let id = module.declare_function(&name, Linkage::Import, signature).map_err(internal)?;
            let number = UserExternalName { namespace: 0, index: id.as_u32() };
            let number = function.declare_imported_user_function(number);
            function.dfg.ext_funcs[native].name = ExternalName::user(number);
        }
        let signature = &context.func.signature;
        let id = module.declare_function(name, Linkage::Local, signature).map_err(internal)?;
        module.define_function(id, context).map_err(|error| match error {
            ModuleError::Compilation(error) => compile::refused(name, &error, &context.func),
            other => internal(other),
        })?;
        let code = context.compiled_code().ok_or_else(|| Error::Internal("no code".into()))?;
        self.bytes += code.buffer.data().len();
        // The module panics when it cannot resolve a name, so what Cranelift itself calls is looked up first.
        let unknown = code.buffer.relocs().iter().find_map(|relocation| match &relocation.target {
            FinalizedRelocTarget::ExternalName(ExternalName::LibCall(call)) => {
                native::address(&call.to_string()).is_none().then_some(call)
            }
            FinalizedRelocTarget::ExternalName(_) | FinalizedRelocTarget::Func(_) => None,
        });
        match unknown {
            Some(call) => Err(Error::Internal(format!("compiled code calls {call}"))),
            None => Ok(id),
        }
    }

    /// Where the function begins; valid as long as `self`.
    pub fn address(&self) -> *const u8 {
        std::ptr::with_exposed_provenance(self.address)
    }

    /// Bytes of machine code.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl std::fmt::Debug for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("bytes", &self.bytes).finish()
    }
}

impl Drop for Code {
    fn drop(&mut self) {
        if let Some(module) = self.module.get_mut().take() {
            // SAFETY: nobody can call into it any more: callers borrow `self`.
            unsafe { module.free_memory() };
        }
    }
}

fn internal(error: ModuleError) -> Error {
    match error {
        ModuleError::Allocation { .. } => Error::OutOfMemory { bytes: 0 },
        other => Error::Internal(format!("Cranelift's module: {other}")),
    }
}
